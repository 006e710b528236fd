"""Shared fixtures: real git repositories in temporary folders, a state folder of their own, the command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from review_rig import Finished

collect_ignore = ["typing"]  # holds a link to the project's folder, for type checkers
FIXBOT = Path(sys.executable).with_name("fixbot")
AUTHOR = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and give back its output."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=os.environ | AUTHOR, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_tree(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


MakeRepository = Callable[[Mapping[str, str | bytes]], Path]
RunFixbot = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """Make a git repository with one commit of the given files."""

    def make(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "project"
        folder.mkdir()
        write_tree(folder, files)
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "add", "--all", "--force")
        git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
        return folder

    return make


@pytest.fixture
def fixbot(tmp_path: Path) -> RunFixbot:
    """Run the console script as a person would, with a state folder of its own."""

    def run(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 120):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_"))}
        environment |= {"FIXBOT_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1", **(env or {})}
        command = [str(FIXBOT), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=cwd or tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished run of a repository with four findings, not to be changed."""
    from review_rig import make_finished

    return make_finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def finished(finished_once: Finished, tmp_path: Path) -> Finished:
    """The same, of a repository of its own."""
    from review_rig import copy_finished

    return copy_finished(finished_once, tmp_path)
