"""``fixbot check FILE...`` answers about these files, as a hook before a commit needs it, and knows the whole project."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MakeRepository, RunFixbot, write_tree

from fixbot.agent.check import Request, check, place
from fixbot.agent.config import settings_for

FILES: dict[str, str | bytes] = {
    "app/__init__.py": "",
    "app/errors.py": 'class ErrorCode:\n    NOT_FOUND = "NOT_FOUND"\n    QUOTA = "QUOTA"\n',
    "app/shares.py": "from app.errors import ErrorCode\n\n\ndef add():\n    return ErrorCode.QUOTA, ErrorCode.GONE\n",
    "app/sound.py": "def load(path):\n    return wave.open(path)\n",
    "tools/run.py": "def play(path):\n    return wave.open(path)\n",
    "tools/broken.py": "def f(:\n",
    "notes.md": "# Notes\n",
    ".gitignore": "local.py\n",
}


Found = Callable[..., tuple[set[str], list[str], int]]


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """``path: rule`` of the findings in some paths seen from a folder, skipped paths, number of files."""
    monkeypatch.setenv("FIXBOT_STATE_DIR", str(tmp_path / "state"))

    def look(folder: Path, *paths: str) -> tuple[set[str], list[str], int]:
        monkeypatch.chdir(folder)
        targets = tuple(map(Path, paths))
        result, _ = check(Request(targets, settings_for(place(targets), {}, None, False)), lambda _: None)
        return {f"{one.path}: {one.rule}" for one in result.findings}, [one.path for one in result.skipped], len(result.files)

    return look


@pytest.fixture
def project(make_repository: MakeRepository) -> Path:
    """A repository with findings in three files."""
    return make_repository(FILES)


def test_only_the_files_are_answered_for_but_the_project_is_known(found: Found, project: Path) -> None:
    assert found(project, "app/shares.py") == ({"app/shares.py: undefined-member"}, [], 1)
    both = {"app/shares.py: undefined-member", "app/sound.py: undefined-name"}
    assert found(project, "app/shares.py", "app/sound.py", "app/__init__.py") == (both, [], 3)
    assert found(project, "app/errors.py", "notes.md") == (set(), [], 1)


def test_folders_files_and_places_may_be_mixed(found: Found, project: Path) -> None:
    mixed = {"tools/run.py: undefined-name", "app/sound.py: undefined-name"}
    assert found(project / "app", "../tools", "sound.py") == (mixed, ["tools/broken.py"], 2)
    everything = mixed | {"app/shares.py: undefined-member"}
    assert found(project, ".", "tools/run.py") == (everything, ["tools/broken.py"], 5)


def test_a_file_that_git_ignores_is_looked_at_when_it_is_named(found: Found, project: Path) -> None:
    write_tree(project, {"local.py": "print(wave)\n", "pyproject.toml": '[tool.fixbot]\nexclude = ["app/sound.py"]\n'})
    assert found(project, "local.py") == ({"local.py: undefined-name"}, [], 1)
    assert found(project, "app/sound.py", "app/errors.py") == (set(), ["app/sound.py"], 1)


def test_outside_git_other_files_are_not_read(found: Found, tmp_path: Path) -> None:
    write_tree(tmp_path / "plain", FILES)
    os.mkfifo(tmp_path / "plain" / "pipe.py")
    assert found(tmp_path / "plain", "app/sound.py", "tools/run.py") == (
        {"app/sound.py: undefined-name", "tools/run.py: undefined-name"},
        [],
        2,
    )


def test_command_takes_several_files(fixbot: RunFixbot, project: Path) -> None:
    done = fixbot("check", "app/sound.py", "app/errors.py", "--output-format", "concise", cwd=project)
    assert (done.returncode, done.stdout.count("\n"), done.stdout[:15]) == (1, 1, "app/sound.py:2:")
    done = fixbot("check", "app/sound.py", "app/gone.py", cwd=project)
    assert (done.returncode, "there is no app/gone.py" in done.stderr) == (2, True)
