"""Installs declared requirements into a new virtual environment: the core must be there, what only tests need may be dropped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fixbot.agent.environments import locks, uv_tool
from fixbot.agent.environments.files import folders, join, read_bytes
from fixbot.agent.environments.requirements import Declared, normalised
from fixbot.agent.environments.uv_tool import CURE, Ran, Uv
from fixbot.agent.errors import NoEnvironmentError

MAX_SINGLE = 100

Groups = Mapping[str, tuple[str, ...]]
Progress = Callable[[str], None]


def install(uv: Uv, declared: Declared, tree: Path, folder: Path, progress: Progress) -> list[str]:
    """Install into ``folder``/venv and say what had to be dropped or changed.

    Raises NoEnvironmentError with the file and uv's reason when the core cannot be installed, or when the index cannot be reached.
    """
    core, tests, constraints, notes = _with_locks(uv, declared, tree, folder)
    extra = tuple(dict.fromkeys((*_all(tests), "pytest")))
    progress(f"installing {len({canonicalize_name(Requirement(line).name) for line in (*_all(core), *extra)})} packages")
    done = _pip(uv, folder, (*_all(core), *extra), constraints)
    if done.ok:
        return notes
    _refuse_offline(done)
    notes += _install_core(uv, folder, core, constraints, progress)
    return notes + _install_tests(uv, folder, extra, progress)


def _all(groups: Groups) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for lines in groups.values() for line in lines))


def _pip(uv: Uv, folder: Path, lines: tuple[str, ...], constraints: tuple[str, ...] = (), dry: bool = False) -> Ran:
    wanted, pinned = folder / "requirements.txt", folder / "constraints.txt"
    wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pinned.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    arguments = ["--only-binary", ":all:", "-p", str(folder / "venv" / "bin" / "python"), "-r", str(wanted), "-c", str(pinned)]
    return uv_tool.run(uv, "pip", "install", *arguments, *(["--dry-run"] if dry else []))


def _refuse_offline(done: Ran) -> None:
    if done.offline:
        raise NoEnvironmentError(f"the package index cannot be reached: {done.reason}", f"connect to the network, or {CURE}")


def _install_core(uv: Uv, folder: Path, core: Groups, constraints: tuple[str, ...], progress: Progress) -> list[str]:
    done = _pip(uv, folder, _all(core), constraints)
    if done.ok:
        return []
    _refuse_offline(done)
    if constraints:
        done = _pip(uv, folder, _all(core))
        if done.ok:
            return ["the locked versions cannot be installed together; other versions were taken"]
    for source, lines in core.items():
        alone = _pip(uv, folder, lines, dry=True)
        if not alone.ok:
            _refuse_offline(alone)
            raise NoEnvironmentError(f"the dependencies in {source} cannot be installed (wheels only): {alone.reason}", CURE)
    culprit = _first_conflict(uv, folder, core)
    progress("the requirement files contradict each other; trying without their pins")
    bare = tuple(dict.fromkeys(_without_version(line) for line in _all(core)))
    if _pip(uv, folder, bare).ok:
        return [f"{culprit}; installed without their pins"]
    raise NoEnvironmentError(f"{culprit}: {done.reason}", CURE)


def _first_conflict(uv: Uv, folder: Path, core: Groups) -> str:
    before: dict[str, None] = {}
    sources = list(core)
    for index, source in enumerate(sources):
        before.update(dict.fromkeys(core[source]))
        if not _pip(uv, folder, tuple(before), dry=True).ok:
            return f"the requirements in {source} conflict with those in {', '.join(sources[:index])}"
    return f"the requirements in {', '.join(sources)} conflict"


def _without_version(line: str) -> str:
    requirement = Requirement(line)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return requirement.name + extras + (f" ; {requirement.marker}" if requirement.marker else "")


def _install_tests(uv: Uv, folder: Path, lines: tuple[str, ...], progress: Progress) -> list[str]:
    """Install what only tests need, one by one and without changing what is there; notes name what was dropped."""
    frozen = uv_tool.run(uv, "pip", "freeze", "-p", str(folder / "venv" / "bin" / "python"))
    present = tuple(line for line in frozen.stdout.splitlines() if "==" in line)
    if _pip(uv, folder, lines, present).ok:
        return []
    progress(f"installing {len(lines)} test requirements one by one")
    notes: list[str] = []
    for line in lines[:MAX_SINGLE]:
        done = _pip(uv, folder, (line,), present)
        _refuse_offline(done)
        if not done.ok:
            notes.append(f"dropped: {line} ({done.reason})")
    return notes + [f"dropped: {line} (over {MAX_SINGLE} test requirements)" for line in lines[MAX_SINGLE:]]


def _with_locks(uv: Uv, declared: Declared, tree: Path, folder: Path) -> tuple[Groups, Groups, tuple[str, ...], list[str]]:
    """Core, tests and constraints with the content of every uv.lock added."""
    core, tests, constraints, notes = dict(declared.core), dict(declared.tests), list(declared.constraints), list[str]()
    own: set[str] = {canonicalize_name(project.name) for project in declared.projects if project.name}
    for place in declared.uv_locks:
        source = join(place, "uv.lock")
        runtime = _exported(uv, tree, place, folder, ["--no-default-groups"], own)
        full = _exported(uv, tree, place, folder, ["--all-groups", "--all-extras"], own)
        if runtime is None:
            notes.append(f"{source} cannot be exported; its versions are used as pins")
            constraints += locks.pins(tree, source)
            continue
        core[source] = runtime
        tests[source] = tuple(line for line in full or () if line not in set(runtime))
    return core, tests, tuple(constraints), notes


def _exported(uv: Uv, tree: Path, place: str, folder: Path, options: list[str], own: set[str]) -> tuple[str, ...] | None:
    """The index packages of a uv.lock, exported from a copy that holds nothing but the lock and the pyproject.toml files."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        copy = Path(name)
        for inner in folders(tree / place):
            if content := read_bytes(tree, join(place, join(inner, "pyproject.toml"))):
                (copy / inner).mkdir(parents=True, exist_ok=True)
                (copy / inner / "pyproject.toml").write_bytes(content)
        (copy / "uv.lock").write_bytes(read_bytes(tree, join(place, "uv.lock")))
        python = str(folder / "venv" / "bin" / "python")
        shape = ("--frozen", "--offline", "--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header", "-p", python)
        done = uv_tool.run(uv, "export", *shape, "--all-packages", *options, folder=copy)
        if not done.ok:
            return None
    found = (normalised(line) for line in done.stdout.splitlines() if line.strip() and not line.startswith(("#", "-", " ")))
    return tuple(line for line in found if line and canonicalize_name(Requirement(line).name) not in own)
