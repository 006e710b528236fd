"""The interpreter with which the target's tests run: found where the caller has one, else built from what the target declares.

Every candidate is started in the sandbox only. The target's files are read as data and a virtual environment that is tracked in git
is never used. Packages come from the caller's own index, as wheels: no code of the target or of a source distribution runs on the host.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from fixbot.agent.environments import build
from fixbot.agent.environments.files import join
from fixbot.agent.environments.metadata import overlay
from fixbot.agent.environments.probe import Probe, probe, readable_folders
from fixbot.agent.environments.project import import_roots
from fixbot.agent.environments.requirements import Declared, all_names, declared, names, shown
from fixbot.agent.environments.uv_tool import CURE
from fixbot.agent.errors import NoEnvironmentError
from fixbot.agent.sandbox.base import Sandbox

__all__ = ["Environment", "import_roots", "resolve"]

LOG = logging.getLogger(__name__)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """How to run the target's tests.

    ``python`` is the interpreter's path on the host; inside a virtual environment its link is not resolved. ``readable`` are host folders
    that it needs besides /usr. ``pythonpath`` are host folders for PYTHONPATH (the target's metadata, pytest where the interpreter has
    none); they must be made readable too. ``notes`` say what was passed over, dropped or supplied.
    """

    python: Path
    description: str
    readable: tuple[Path, ...]
    pythonpath: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    python: Path
    description: str
    chosen: bool = False  # by the caller's own hand: used whatever it lacks
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _Search:
    tree: Path
    repository: Path
    cache: Path
    sandbox: Sandbox
    progress: Progress
    declared: Declared


def _silent(_: str) -> None:
    pass


def resolve(
    tree: Path, *, repository: Path, python: Path | None, cache: Path, sandbox: Sandbox, progress: Progress = _silent
) -> Environment:
    """Find or build the interpreter for the tests of ``tree``, a private clone of the commit under test.

    Tried in order: ``python``; the caller's active virtual environment; ``.venv`` or ``venv`` in ``repository`` (the user's work tree)
    unless tracked in git; the active one if it is fixbot's own; one built with uv in ``cache``. Raises NoEnvironmentError with the cure.
    """
    search = _Search(tree, repository.absolute(), cache.absolute(), sandbox, progress, declared(tree))
    passed_over: list[str] = []
    for candidate in _candidates(search, python):
        found = candidate.refusal or _try(search, candidate)
        if isinstance(found, Environment):
            return replace(found, notes=(*passed_over, *found.notes))
        if candidate.chosen:
            raise NoEnvironmentError(
                f"{candidate.description}: {found}", "pass another interpreter, or leave --python out to have one built"
            )
        LOG.info("%s: %s", candidate.description, found)
        passed_over.append(f"{candidate.description} is not used: {found}")
    return _built(search, passed_over)


def _candidates(search: _Search, python: Path | None) -> Iterator[_Candidate]:
    if python is not None:
        path = Path(os.path.abspath(python.expanduser()))
        yield _Candidate(_interpreter(path / "bin" / "python" if path.is_dir() else path), f"--python {python}", chosen=True)
        return
    active = os.environ.get("VIRTUAL_ENV", "")
    given = bool(active) and os.path.isabs(active)
    own = given and Path(active).resolve() == Path(sys.prefix).resolve()  # activated to run fixbot, as programs that run hooks do
    if given and not own:
        yield _venv(search, Path(os.path.normpath(active)), "active virtual environment")
    for name in (".venv", "venv"):
        folder = search.repository / name
        if folder.exists() and (own or str(folder) != os.path.normpath(active)):
            yield _venv(search, folder, f"{name} of the repository")
    if own and os.path.normpath(active) not in (str(search.repository / name) for name in (".venv", "venv")):
        yield _venv(search, Path(os.path.normpath(active)), "active virtual environment (fixbot's own)")


def _venv(search: _Search, folder: Path, description: str) -> _Candidate:
    python = folder / "bin" / "python"
    refusal = ""
    if _tracked(search, folder):
        refusal = "it is tracked in git, so the repository decides what is in it"
    elif not (folder / "pyvenv.cfg").is_file() or not os.path.lexists(python):
        refusal = "it is not a virtual environment"
    return _Candidate(python, description, refusal=refusal)


def _tracked(search: _Search, folder: Path) -> bool:
    """Whether the commit holds something at the folder's place in the repository, by its name or by its real path."""
    bases = ((folder, search.repository), (folder.resolve(), search.repository.resolve()))
    return any(os.path.lexists(search.tree / path.relative_to(base)) for path, base in bases if path.is_relative_to(base))


def _interpreter(python: Path) -> Path:
    """An interpreter outside a virtual environment by its real path: a link to it has no library beside it in the sandbox."""
    return python if (python.parent.parent / "pyvenv.cfg").is_file() else python.resolve()


def _try(search: _Search, candidate: _Candidate) -> Environment | str:
    """The environment of a candidate, or why it is not used."""
    if not candidate.python.is_file():
        return f"{candidate.python} does not exist"
    readable = readable_folders(candidate.python, search.repository)
    found = probe(candidate.python, readable, all_names(search.declared), search.sandbox, search.cache)
    if isinstance(found, str):
        return found
    serious, slight = _faults(search.declared, found)
    if serious and not candidate.chosen:
        return "; ".join(serious)
    notes = tuple(f"{candidate.description}: {fault}" for fault in (*serious, *slight))
    return _environment(search, candidate, readable, found, notes)


def _faults(wanted: Declared, found: Probe) -> tuple[list[str], list[str]]:
    """What speaks against an interpreter, and what is only worth a note."""
    serious: list[str] = []
    core = [name for name in names(wanted.core, found.version) if name in found.missing]
    tests = [name for name in names(wanted.tests, found.version) if name in found.missing and name not in {*core, "pytest"}]
    if wanted.python and not SpecifierSet(wanted.python).contains(found.version, prereleases=True):
        serious.append(f"it is Python {found.version}, the repository asks for {wanted.python}")
    if core:
        serious.append(f"it lacks {_listed(core)}, which the repository declares")
    return serious, [f"it lacks {_listed(tests)}, declared for tests or development"] if tests else []


def _environment(search: _Search, candidate: _Candidate, readable: tuple[Path, ...], found: Probe, notes: tuple[str, ...]) -> Environment:
    pythonpath: list[Path] = []
    absent = [project for project in search.declared.projects if canonicalize_name(project.name) in found.missing]
    if metadata := overlay(absent, search.cache):
        pythonpath.append(metadata)
    if found.pytest is None:
        avoided = (search.tree, search.repository)
        pythonpath.append(build.supply_pytest(found.minor, search.cache, avoided, search.progress))
        notes = (*notes, "pytest supplied by fixbot: the interpreter has none")
    shown_folders = tuple(dict.fromkeys((*readable, *pythonpath)))
    return Environment(candidate.python, candidate.description, shown_folders, tuple(pythonpath), notes)


def _built(search: _Search, passed_over: list[str]) -> Environment:
    wanted = search.declared
    try:
        made = build.build(wanted, search.tree, search.cache, (search.tree, search.repository), search.progress)
        sources = list(dict.fromkeys((*wanted.core, *wanted.tests, *(join(folder, "uv.lock") for folder in wanted.uv_locks))))
        description = f"built with uv from {_listed(sources)}" if sources else "built with uv: pytest only, no dependencies are declared"
        found = _try(search, _Candidate(made.python, description, chosen=True))
    except NoEnvironmentError as error:
        message = "; ".join((error.message, *passed_over))
        raise NoEnvironmentError(message, error.cure) from error
    if isinstance(found, str):
        raise NoEnvironmentError("; ".join((f"the environment that was built: {found}", *passed_over)), CURE)
    notes = (*passed_over, *wanted.notes, *made.notes, *(note for note in found.notes if not note.startswith(description)))
    return replace(found, notes=notes)


def _listed(items: list[str], most: int = 8) -> str:
    """The items as text, the first ``most`` of them by name."""
    rest = len(items) - most
    return ", ".join(shown(item) for item in items[:most]) + (f" and {rest} more" if rest > 0 else "")
