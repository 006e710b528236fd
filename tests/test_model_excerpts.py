"""What a model is shown beside the code of a finding: guarded imports, users of a name, settings, where a missing name really is."""

from __future__ import annotations

from pathlib import Path

from fixbot.detectors.finding import MODEL, Finding, Severity, Span
from fixbot.detectors.project import discover
from fixbot.patchers.model.excerpts import Excerpt, excerpts

FILLER = "\n".join(f"def filler_{number}():\n    return {number}\n\n" for number in range(20))


def shown(root: Path, path: str, line: int) -> dict[str, str]:
    """The text of each kind of excerpt for a finding on a line."""
    finding = Finding("reported-bug", Severity.HIGH, path, Span(line, 1, line, 1), "a bug", fix=MODEL)
    texts: dict[str, str] = {}
    for one in excerpts(finding, discover(root)):
        texts[one.why] = texts.get(one.why, "") + text(root, one)
    return texts


def text(root: Path, one: Excerpt) -> str:
    return "\n".join((root / one.path).read_text().splitlines()[one.first - 1 : one.last]) + "\n"


def write(root: Path, **files: str) -> None:
    for name, content in files.items():
        (root / f"{name}.py").write_text(content)


def test_guarded_imports_are_imports(tmp_path: Path) -> None:
    head = "import os\n\ntry:\n    import orjson\nexcept ImportError:\n    orjson = None\n\n"
    head += "try:\n    SIZE = int(os.sep)\nexcept ValueError:\n    SIZE = 1\n"
    write(tmp_path, codec=head + FILLER + "def dump(value):\n    return orjson.dumps(value)\n")
    imports = shown(tmp_path, "codec.py", 93)["imports"]
    assert "except ImportError:\n    orjson = None" in imports
    assert "SIZE" not in imports


def test_users_of_a_module_level_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        limits="import os\n\nLIMIT = 20\nOTHER = 3\n"
        + FILLER
        + "def newest(rows):\n    return rows[:LIMIT]\n\n\ndef other():\n    return OTHER\n",
    )
    users = shown(tmp_path, "limits.py", 3)["uses it"]
    assert users == "def newest(rows):\n    return rows[:LIMIT]\n"
    assert "uses it" not in shown(tmp_path, "limits.py", 86)


def test_example_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("LIMIT=20\n")
    write(
        tmp_path,
        reads="import os\n\n\ndef limit():\n    return os.getenv('LIMIT')\n",
        leaves="import os\n\n\ndef name():\n    return os.sep\n",
    )
    assert shown(tmp_path, "reads.py", 5)["settings"] == "LIMIT=20\n"
    assert "settings" not in shown(tmp_path, "leaves.py", 5)


def test_a_real_environment_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIMIT=20\n")
    write(tmp_path, reads="import os\n\n\ndef limit():\n    return os.getenv('LIMIT')\n")
    assert "settings" not in shown(tmp_path, "reads.py", 5)


def test_where_a_missing_name_is_defined(tmp_path: Path) -> None:
    write(
        tmp_path,
        auth="def login():\n    pass\n",
        rights="def admin(user):\n    return user\n",
        admin="from auth import admin\n\nprint(admin)\n",
    )
    assert shown(tmp_path, "admin.py", 1)["defined here"].startswith("def admin(user):")
    write(tmp_path, auth="from rights import admin\n")
    assert "defined here" not in shown(tmp_path, "admin.py", 1)


def test_neighbours_come_last(tmp_path: Path) -> None:
    write(tmp_path, many=FILLER)
    finding = Finding("reported-bug", Severity.HIGH, "many.py", Span(42, 1, 42, 1), "a bug", fix=MODEL)
    found = list(excerpts(finding, discover(tmp_path)))
    assert found[-1].why == "its neighbours"
    assert (found[-1].first, found[-1].last) == (found[0].first - 20, found[0].last + 20)


def test_methods_of_the_one_instance_of_a_class(tmp_path: Path) -> None:
    service = (
        "class Service:\n    def send(self, text):\n        text = text.strip()\n        line = text.encode()\n        queue.append(line)\n"
        "        return len(line)\n\n    def close(self):\n        queue.clear()\n\n\nqueue = []\nservice = Service()\n"
    )
    write(tmp_path, service=service, use="from service import service\n\n\ndef tell(name):\n    return service.send(name)\n")
    used = shown(tmp_path, "use.py", 5)["used"]
    assert "        return len(line)\n" in used
    assert "def close" not in used
    write(tmp_path, service=service + FILLER + "def tell(name):\n    return service.send(name)\n")
    used = shown(tmp_path, "service.py", 14 + 4 * 20)["used"]
    assert "        return len(line)\n" in used
    write(tmp_path, use="from service import Service\n\n\ndef tell(name):\n    return Service.send(name)\n", service=service)
    assert shown(tmp_path, "use.py", 5)["used"].startswith("class Service:")


def test_what_an_application_registers(tmp_path: Path) -> None:
    made = "from fastapi import FastAPI\n\nimport users\n\napp = FastAPI()\n"
    write(
        tmp_path,
        routes="from fastapi import APIRouter\n\nrouter = APIRouter()\n",
        main=made + "app.include_router(users.router)\nother.include_router(None)\n",
    )
    finding = Finding("reported-bug", Severity.HIGH, "routes.py", Span(3, 1, 3, 1), "The router is never registered", fix=MODEL)
    found = "".join(text(tmp_path, one) for one in excerpts(finding, discover(tmp_path)) if one.why == "the application")
    assert found == "app = FastAPI()\napp.include_router(users.router)\n"
    assert "the application" not in shown(tmp_path, "routes.py", 3)
