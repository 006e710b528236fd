"""Shared fixtures: real git repositories in temporary folders, a state folder of their own, the command line as a process."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from review_rig import Finished

collect_ignore = ["typing"]  # holds a link to the project's folder, for type checkers
FIXBOT = Path(sys.executable).with_name("fixbot")
_ENVIRONMENT = Path(tempfile.gettempdir(), f"fixbot-tests-{os.getuid()}-{os.getpid()}")
TARGET_PYTHON = _ENVIRONMENT / "bin" / "python"
"""An interpreter for the suites of targets with nothing but pytest: this project's own has plugins that take a second to load."""
ONE_BASELINE = {"FIXBOT_BASELINE_RUNS": "1"}
"""Enough where no test is flaky; by default there are two."""
AUTHOR = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def pytest_configure() -> None:
    """Let the many processes that tests start find bytecode, whatever the caller thinks of it, without touching the sources' folders."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(sys.prefix, "bytecode"))


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


@pytest.fixture(scope="session")
def target_environment() -> Iterator[None]:
    """Make the virtual environment of ``TARGET_PYTHON``. Suites run without writing bytecode, so it is compiled here."""
    try:
        venv.create(_ENVIRONMENT, clear=True, symlinks=True)
        packages = Path(sysconfig.get_path("purelib"))
        site = _ENVIRONMENT / packages.relative_to(sys.prefix)
        for one in packages.iterdir():
            if one.name.partition("-")[0] in ("_pytest", "pytest", "pluggy", "iniconfig", "packaging", "pygments"):
                shutil.copytree(one, site / one.name)
        shutil.copy2(packages / "py.py", site)  # pytest's as well
        compileall.compile_dir(site, quiet=1, rx=re.compile(r"pygments/(lexers|styles)/[a-z]"))
        yield
    finally:
        shutil.rmtree(_ENVIRONMENT, ignore_errors=True)


MakeRepository = Callable[[Mapping[str, str | bytes]], Path]
RunFixbot = Callable[..., "subprocess.CompletedProcess[str]"]


def new_repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Make a git repository with one commit of the given files."""
    folder.mkdir()
    write_tree(folder, files)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    return folder


@pytest.fixture
def make_repository(tmp_path: Path, target_environment: None) -> MakeRepository:
    """Make the test's repository with one commit of the given files."""
    return partial(new_repository, tmp_path / "project")


def run_fixbot(
    state: Path, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the console script as a person would, with a state folder of its own and one run of the suite without fixes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_"))}
    environment |= {"FIXBOT_STATE_DIR": str(state), "NO_COLOR": "1", **ONE_BASELINE, **(env or {})}
    return subprocess.run(
        [str(FIXBOT), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def fixbot(tmp_path: Path, target_environment: None) -> RunFixbot:
    """``run_fixbot`` in the test's own folder."""

    def run(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 120):
        return run_fixbot(tmp_path / "state", *arguments, cwd=cwd or tmp_path, env=env, timeout=timeout)

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
