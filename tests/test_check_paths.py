"""``fixbot check FILE...`` answers about these files, as a hook before a commit needs it, and knows the whole project."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import MakeRepository, RunFixbot, write_tree

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


def found(fixbot: RunFixbot, folder: Path, *paths: str | Path) -> tuple[int, set[str], list[str], int]:
    """Exit code, ``path: rule`` of the findings, skipped paths, number of files."""
    done = fixbot("check", *paths, "--output-format", "json", "--quiet", cwd=folder)
    report = json.loads(done.stdout)
    findings = {f"{one['path']}: {one['rule']}" for one in report["findings"]}
    return done.returncode, findings, [one["path"] for one in report["files_skipped"]], report["files_scanned"]


@pytest.fixture
def project(make_repository: MakeRepository) -> Path:
    """A repository with findings in three files."""
    return make_repository(FILES)


def test_only_the_files_are_answered_for_but_the_project_is_known(fixbot: RunFixbot, project: Path) -> None:
    assert found(fixbot, project, "app/shares.py") == (1, {"app/shares.py: undefined-member"}, [], 1)
    both = {"app/shares.py: undefined-member", "app/sound.py: undefined-name"}
    assert found(fixbot, project, "app/shares.py", "app/sound.py", "app/__init__.py") == (1, both, [], 3)
    assert found(fixbot, project, "app/errors.py", "notes.md") == (0, set(), [], 1)


def test_folders_files_and_places_may_be_mixed(fixbot: RunFixbot, project: Path) -> None:
    mixed = {"tools/run.py: undefined-name", "app/sound.py: undefined-name"}
    assert found(fixbot, project / "app", "../tools", "sound.py") == (1, mixed, ["tools/broken.py"], 2)
    everything = mixed | {"app/shares.py: undefined-member"}
    assert found(fixbot, project, ".", "tools/run.py") == (1, everything, ["tools/broken.py"], 5)


def test_a_file_that_git_ignores_is_looked_at_when_it_is_named(fixbot: RunFixbot, project: Path) -> None:
    write_tree(project, {"local.py": "print(wave)\n", "pyproject.toml": '[tool.fixbot]\nexclude = ["app/sound.py"]\n'})
    assert found(fixbot, project, "local.py") == (1, {"local.py: undefined-name"}, [], 1)
    assert found(fixbot, project, "app/sound.py", "app/errors.py") == (0, set(), ["app/sound.py"], 1)


def test_outside_git_other_files_are_not_read(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "plain", FILES)
    os.mkfifo(tmp_path / "plain" / "pipe.py")
    assert found(fixbot, tmp_path / "plain", "app/sound.py", "tools/run.py") == (
        1,
        {"app/sound.py: undefined-name", "tools/run.py: undefined-name"},
        [],
        2,
    )


def test_a_path_that_is_not_there_is_an_error(fixbot: RunFixbot, project: Path) -> None:
    done = fixbot("check", "app/sound.py", "app/gone.py", cwd=project)
    assert (done.returncode, "there is no app/gone.py" in done.stderr) == (2, True)
