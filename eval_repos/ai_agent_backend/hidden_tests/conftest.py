"""Helpers of the hidden tests. The stubs beside this file look like the current releases of packages that are not installed."""

import importlib
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import Engine, event

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("REPO_ROOT") or HERE.parent / "repo").resolve()
STUBS = HERE / "stubs"
STUB_NAMES = {path.stem for path in STUBS.iterdir()}
ENVIRONMENT = {
    "JWT_SECRET_KEY": "a-secret-that-only-the-tests-know-0123456789",
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SERVICE_KEY": "service-key",
    "OPENAI_API_KEY": "sk-test",
    "ENVIRONMENT": "test",
}
OTHERS = (
    "REDIS_URL", "SENTRY_DSN", "POSTHOG_API_KEY", "POSTHOG_HOST", "ADMIN_API_ENABLED", "REQUEST_VALIDATION", "MAX_UPLOAD_MB",
    "CORS_ORIGINS", "MIN_CLIENT_VERSION", "ACCESS_TOKEN_MINUTES", "AGENT_HISTORY_LIMIT", "RENDER_THREADS",
)  # fmt: skip
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8"
    b"\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84\x00\x00\x00\x00IEND\xaeB`\x82"
)


@event.listens_for(Engine, "connect")
def no_fsync(connection, record):
    connection.execute("PRAGMA synchronous = OFF")


def requirements(folder: str = ".", development: bool = False) -> dict[str, Requirement]:
    """What the requirement files (and the pyproject.toml) of a folder of the repository declare."""
    found: dict[str, Requirement] = {}
    base = ROOT / folder
    lines: list[str] = []
    for path in sorted([*base.glob("*requirements*.txt"), *base.glob("*requirements*.in"), *base.glob("requirements/*.txt")]):
        if development or not re.search("dev|test", path.stem):
            lines += path.read_text(encoding="utf-8").splitlines()
    project = base / "pyproject.toml"
    if project.is_file():
        data = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        lines += data.get("dependencies", [])
        for extra in data.get("optional-dependencies", {}).values():
            lines += extra
    for line in lines:
        try:
            requirement = Requirement(line.split(" #")[0].split("--hash")[0].strip())
        except InvalidRequirement:
            continue
        found[canonicalize_name(requirement.name)] = requirement
    return found


def allows(requirement: Requirement | None, version: str) -> bool:
    return requirement is None or requirement.specifier.contains(version, prereleases=True)


@pytest.fixture(autouse=True)
def clean_modules(monkeypatch, tmp_path):
    """Each test imports the repository and the stubs afresh; the environment is complete and has no optional service."""
    def drop():
        ours = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()} - {"tests"}
        for name in list(sys.modules):
            if name.split(".")[0] in ours | STUB_NAMES:
                del sys.modules[name]

    drop()
    monkeypatch.syspath_prepend(str(STUBS))
    monkeypatch.syspath_prepend(str(ROOT))
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_DB_PATH", str(tmp_path / "agent.db"))
    monkeypatch.setenv("UPLOAD_DIR", str(tmp_path / "files" / "uploads"))
    monkeypatch.setenv("VIDEO_JOBS_DIR", str(tmp_path / "jobs"))
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "logs" / "app.log"))
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
    yield
    drop()


@pytest.fixture
def without(monkeypatch):
    """Make packages look as if they were not installed."""

    def without(*names):
        for name in names:
            for loaded in [module for module in sys.modules if module.startswith(name + ".")]:
                monkeypatch.delitem(sys.modules, loaded)
            monkeypatch.setitem(sys.modules, name, None)

    return without


@pytest.fixture
def load():
    return importlib.import_module


def start(**changes):
    """The application with settings from the environment, and a TestClient."""
    os.environ.update(changes)
    from fastapi.testclient import TestClient

    main = importlib.import_module("app.main")
    app = main.create_app()
    return SimpleNamespace(app=app, client=TestClient(app, raise_server_exceptions=False))


@pytest.fixture
def service(monkeypatch):
    def service(**changes):
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        return start()

    return service


def sign_in(client, email="ada@example.org", plan=None):
    answer = client.post("/auth/register", json={"email": email, "password": "correct horse"})
    assert answer.status_code == 201, answer.text
    if plan is not None:
        models = importlib.import_module("app.models")
        db = client.app.state.db
        db.set_plan(db.get_user_by_email(email).id, models.Plan(plan))
    token = client.post("/auth/login", json={"email": email, "password": "correct horse"}).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def run(*command, cwd=None, path=(), **environment):
    """A Python process of its own, with the stubs on its path."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    variables["PYTHONPATH"] = os.pathsep.join([*map(str, path), str(STUBS)])
    variables.setdefault("PYTHONDONTWRITEBYTECODE", "" if "PYTHONPYCACHEPREFIX" in variables else "1")
    variables.update(environment)
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd or ROOT, env=variables, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def tools():
    return SimpleNamespace(root=ROOT, stubs=STUBS, requirements=requirements, allows=allows, run=run, sign_in=sign_in, png=PNG)
