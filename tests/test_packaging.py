"""The wheel holds every module and page and nothing else; the bare folder names are never imported; the docs' commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("agent", "detectors", "patchers", "prompts")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The member names of a freshly built wheel, built from a copy of the tracked files."""
    source = tmp_path_factory.mktemp("source")
    names = (*FOLDERS, "pyproject.toml", "README.md", "LICENSE")
    listed = subprocess.run(["git", "ls-files", "-z", *names], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    built = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", built, source], check=True, capture_output=True)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_wheel_holds_what_is_tracked(wheel: set[str]) -> None:
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert {f"fixbot/{name}" for name in listed} == {name for name in wheel if ".dist-info/" not in name}


def test_console_script(wheel: set[str]) -> None:
    assert any(name.endswith("entry_points.txt") for name in wheel)
    done = subprocess.run([Path(sys.executable).with_name("fixbot"), "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"fixbot \d+\.\d+\.\d+\n", done.stdout)


def test_hostile_working_folder_is_not_imported(tmp_path: Path) -> None:
    for name in ("json", "agent", "typer", "sitecustomize", "detectors"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    done = subprocess.run([Path(sys.executable).with_name("fixbot"), "rules"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_is_quick_to_load() -> None:
    heavy = ("libcst", "openai", "git", "rich", "pydantic")
    code = f"import sys; from fixbot.agent import cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_libcst_is_loaded_only_to_fix(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = wave.open('y')\n")
    code = (
        "import sys; sys.argv = ['fixbot', 'check', sys.argv[1], '--no-cache']\n"
        "from fixbot.agent import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    print('END', end.code, 'libcst' in sys.modules, 'openai' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "END 1 False False"
