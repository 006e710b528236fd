"""Builds an environment with the target's dependencies. Wheels only, from the caller's own index: nothing of the target runs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from packaging.specifiers import SpecifierSet

from fixbot.agent.environments import install, uv_tool
from fixbot.agent.environments.files import join, read_bytes
from fixbot.agent.environments.requirements import Declared
from fixbot.agent.environments.uv_tool import CURE, Uv
from fixbot.agent.errors import NoEnvironmentError

LOG = logging.getLogger(__name__)

FORMAT = 1
OLDEST = "3.8"
STALE_SECONDS = 24 * 3600
RECORD = "environment.json"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """A finished environment: its interpreter and what was left out or changed to get it."""

    python: Path
    notes: tuple[str, ...]


def build(declared: Declared, tree: Path, cache: Path, avoided: Sequence[Path], progress: Progress) -> Built:
    """The environment for ``declared``: taken from ``cache`` when it was built before (uv isn't run then), else built there.

    The cache key is a hash of the requirements, pins, lock files and the asked-for Python. Raises NoEnvironmentError.
    """
    final = cache / "environments" / _key(declared, tree)
    if known := _finished(final):
        return known
    uv = uv_tool.find_uv(cache, avoided)
    with _workplace(final.parent) as folder:
        python, notes = interpreter(uv, declared.python, progress)
        venv = folder / "venv"
        made = uv_tool.run(uv, "venv", "--no-project", "--relocatable", "--quiet", "-p", python, str(venv))
        if not made.ok:
            raise NoEnvironmentError(f"no virtual environment can be made with {python}: {made.reason}", CURE)
        notes += install.install(uv, declared, tree, folder, progress)
        (folder / RECORD).write_text(json.dumps({"format": FORMAT, "interpreter": python, "notes": notes}), encoding="utf-8")
        publish(folder, final)
    if known := _finished(final):
        return known
    raise NoEnvironmentError(f"the environment in {final} is damaged", f"remove that folder, or {CURE}")


def _key(declared: Declared, tree: Path) -> str:
    locks = [
        [folder, *(hashlib.sha256(read_bytes(tree, join(folder, name))).hexdigest() for name in ("uv.lock", "pyproject.toml"))]
        for folder in declared.uv_locks
    ]
    parts = [FORMAT, declared.python, _flat(declared.core), _flat(declared.tests), sorted(declared.constraints), locks]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _flat(groups: Mapping[str, tuple[str, ...]]) -> list[tuple[str, list[str]]]:
    return [(source, sorted(lines)) for source, lines in sorted(groups.items())]


def _finished(folder: Path) -> Built | None:
    python = folder / "venv" / "bin" / "python"
    try:
        record = cast("dict[str, object]", json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    notes = record.get("notes")
    if record.get("format") != FORMAT or not isinstance(notes, list) or not os.access(python, os.X_OK):
        return None
    return Built(python, tuple(str(note) for note in cast("list[object]", notes)))


def interpreter(uv: Uv, request: str, progress: Progress) -> tuple[str, list[str]]:
    """Path of an installed interpreter for a specifier; one like fixbot's own comes first. Downloads one only when none fits.

    Returns the path and notes. Raises NoEnvironmentError.
    """
    wanted = ",".join(part for part in (request, f">={OLDEST}") if part)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in ([own] if SpecifierSet(wanted).contains(f"{own}.{sys.version_info.micro}") else []) + [wanted]:
        found = uv_tool.run(uv, "python", "find", "--no-project", "--system", "--no-python-downloads", version)
        if found.ok and found.stdout.strip():
            return found.stdout.strip(), []
    if uv.env.get("UV_PYTHON_DOWNLOADS", "") in {"manual", "never", "false", "0"}:
        raise NoEnvironmentError(f"no Python {wanted} is installed, and UV_PYTHON_DOWNLOADS forbids to download one", CURE)
    progress(f"no Python {wanted} is installed; downloading one")
    loaded = uv_tool.run(uv, "python", "install", "--no-bin", wanted)
    found = uv_tool.run(uv, "python", "find", "--no-project", "--system", "--no-python-downloads", wanted)
    if not found.ok or not found.stdout.strip():
        raise NoEnvironmentError(f"no Python {wanted} is installed and none can be downloaded: {loaded.reason}", CURE)
    return found.stdout.strip(), [f"downloaded Python {wanted}, because none was installed"]


def supply_pytest(version: str, cache: Path, avoided: Sequence[Path], progress: Progress) -> Path:
    """A folder with pytest and what it needs, for a Python ``version`` such as ``3.11``. Raises NoEnvironmentError."""
    final = cache / "pytest" / version
    if (final / "pytest").is_dir() or (final / "pytest.py").is_file():
        return final
    uv = uv_tool.find_uv(cache, avoided)
    progress(f"installing pytest for Python {version}")
    with _workplace(final.parent) as folder:
        arguments = ("--only-binary", ":all:", "--target", str(folder), "--python-version", version, "-p", sys.executable)
        done = uv_tool.run(uv, "pip", "install", *arguments, "pytest")
        if not done.ok:
            problem = "the package index cannot be reached" if done.offline else "pytest cannot be installed"
            raise NoEnvironmentError(f"the interpreter has no pytest, and {problem}: {done.reason}", CURE)
        publish(folder, final)
    return final


@contextmanager
def _workplace(parent: Path) -> Generator[Path]:
    """A new folder in ``parent``, removed at the end unless it was published; left-overs of killed runs are removed first."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(".building-*"):
        try:
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        except FileNotFoundError:
            continue
    folder = Path(tempfile.mkdtemp(prefix=".building-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, final: Path) -> None:
    """Make a finished folder readable by everybody and rename it to its place; a complete one that is already there is kept."""
    _open_up(folder)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        if _finished(final) is not None or not (folder / RECORD).exists():
            return
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)


def _open_up(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        _allow(Path(parent), 0o555)
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                _allow(path, 0o555 if path.stat().st_mode & 0o100 else 0o444)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode & 0o7777
    if mode & bits != bits:
        path.chmod(mode | bits)
