"""What the target declares that its tests need, gathered from all of its files. Nothing of the target is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from fixbot.agent.environments import locks, poetry, pyproject, requirement_files, setup_files
from fixbot.agent.environments.files import folders, join, read_toml, table
from fixbot.agent.environments.part import Declaration
from fixbot.agent.environments.project import Project, projects, python_request

TEST_NAMES = frozenset({"test", "tests", "testing", "dev", "develop", "development", "all"})
MAX_NOTES = 50

Groups = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Declared:
    """The requirements of the target, as normalised requirement strings.

    ``core`` and ``tests`` map a file to its requirements; a core one must be installed, a test one may be dropped. ``constraints`` are
    pins that hold for what is installed. ``uv_locks`` are folders with a uv.lock. ``python`` is a specifier, or '' for any version.
    """

    core: Groups
    tests: Groups
    constraints: tuple[str, ...]
    uv_locks: tuple[str, ...]
    python: str
    projects: tuple[Project, ...]
    notes: tuple[str, ...]


def declared(tree: Path) -> Declared:
    """Read everything that the repository says about its dependencies; what is not used is named in ``notes``."""
    found = tuple(projects(tree))
    core: dict[str, dict[str, None]] = {}
    tests: dict[str, dict[str, None]] = {}
    constraints: dict[str, None] = {}
    notes: dict[str, None] = {}
    for declaration in _resolved(tree, found):
        line, reason = _admit(declaration)
        if reason:
            notes[f"dropped: {shown(declaration.line)} ({declaration.source}: {reason})"] = None
        elif declaration.kind == "constraint":
            constraints[line] = None
        else:
            (core if declaration.kind == "core" else tests).setdefault(declaration.source, {})[line] = None
    for folder in folders(tree):
        for path in locks.lock_files(tree, folder):
            constraints.update(dict.fromkeys(locks.pins(tree, path)))
    return Declared(
        core={source: tuple(lines) for source, lines in core.items()},
        tests={source: tuple(lines) for source, lines in tests.items()},
        constraints=_agreeing(constraints),
        uv_locks=tuple(folder for folder in folders(tree) if (tree / folder / "uv.lock").is_file()),
        python=_python(python_request(tree, list(found))),
        projects=found,
        notes=(*list(notes)[:MAX_NOTES], *([f"{len(notes) - MAX_NOTES} more lines were dropped"] if len(notes) > MAX_NOTES else [])),
    )


def _resolved(tree: Path, found: tuple[Project, ...]) -> Iterator[Declaration]:
    """All declarations with the references to the target's own projects replaced by what those need."""
    names: dict[str, Project] = {canonicalize_name(project.name): project for project in found if project.name}
    places = {project.folder: project for project in found}
    for declaration in _declarations(tree, found):
        yield from _expanded(declaration, names, places, frozenset())


def _expanded(
    declaration: Declaration, names: Mapping[str, Project], places: Mapping[str, Project], above: frozenset[tuple[str, str]]
) -> Iterator[Declaration]:
    own = declaration.kind == "own"
    match = re.match(r"\s*([^\s\[@;<>=!~]+)\s*(?:\[([^\]]*)\])?", declaration.line)
    project = None if match is None else places.get(match[1]) if own else names.get(canonicalize_name(match[1]))
    if match is None or project is None:
        reason = "a folder without a project" if own else declaration.reason
        yield Declaration("dropped" if own else declaration.kind, declaration.line, declaration.source, reason)
        return
    for extra in (name.strip() for name in (match[2] or "").split(",")):
        if (project.folder, extra) in above:
            continue
        for line in project.extras.get(extra, ()):
            inner = Declaration("core" if own else declaration.kind, line, declaration.source)
            yield from _expanded(inner, names, places, above | {(project.folder, extra)})


def _declarations(tree: Path, found: tuple[Project, ...]) -> Iterator[Declaration]:
    seen: set[str] = set()
    files = [item for folder in folders(tree) for item in requirement_files.found_files(tree, folder)]
    for path, _ in sorted((item for item in files if item[1] == "core"), key=lambda item: item[0].count("/")):
        yield from requirement_files.read_file(tree, path, "core", seen)
    for project in found:
        yield from _of_project(tree, project, seen)
    for path, kind in files:
        yield from requirement_files.read_file(tree, path, kind, seen)
    for folder in folders(tree):
        for line in setup_files.tox_lines(tree, folder):
            yield from requirement_files.declarations(tree, line, "test", join(folder, "tox.ini"), seen)
        pipfile = read_toml(tree, join(folder, "Pipfile"))
        yield from (Declaration("core", line, join(folder, "Pipfile")) for line in poetry.requirements(table(pipfile, "packages")))
        yield from (Declaration("test", line, join(folder, "Pipfile")) for line in poetry.requirements(table(pipfile, "dev-packages")))


def _of_project(tree: Path, project: Project, seen: set[str]) -> Iterator[Declaration]:
    source = project.sources[0]
    yield from (Declaration("core", line, source) for line in project.core)
    for name, lines in (*project.extras.items(), *project.groups.items()):
        if canonicalize_name(name) in TEST_NAMES:
            yield from (Declaration("test", line, source) for line in lines)
    core, tests = pyproject.dynamic_files(read_toml(tree, join(project.folder, "pyproject.toml")))
    for path in core:
        yield from requirement_files.read_file(tree, join(project.folder, path), "core", seen)
    for path in tests:
        yield from requirement_files.read_file(tree, join(project.folder, path), "test", seen)


def _admit(declaration: Declaration) -> tuple[str, str]:
    """The normalised requirement, or the reason why it is not taken."""
    if declaration.kind == "dropped":
        return "", declaration.reason
    if line := normalised(declaration.line):
        return re.sub(r"\[[^\]]*\]", "", line, count=1) if declaration.kind == "constraint" else line, ""
    return "", requirement_files.INDEX_REASON if re.search(r"[/:\\]", declaration.line) else "not a requirement"


def normalised(line: str) -> str:
    """A requirement on an index package in its standard form; '' for anything else (URL, path, option, nonsense)."""
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, RecursionError):
        return ""
    return "" if requirement.url is not None else str(requirement)


def _agreeing(constraints: Mapping[str, None]) -> tuple[str, ...]:
    """Constraints without those of a package that is pinned to two versions by different files."""
    pinned: dict[tuple[str, str], set[str]] = {}
    for line in constraints:
        requirement = Requirement(line)
        if str(requirement.specifier).startswith("=="):
            pinned.setdefault((canonicalize_name(requirement.name), str(requirement.marker)), set()).add(str(requirement.specifier))
    twice = {name for (name, _), versions in pinned.items() if len(versions) > 1}
    return tuple(line for line in constraints if canonicalize_name(Requirement(line).name) not in twice)


def _python(request: str) -> str:
    try:
        return str(SpecifierSet(request))
    except InvalidSpecifier:
        return ""


def all_names(found: Declared) -> tuple[str, ...]:
    """Sorted names of all declared distributions, whatever their markers, and of the target's own projects."""
    lines = (line for groups in (found.core, found.tests) for group in groups.values() for line in group)
    own = (canonicalize_name(project.name) for project in found.projects if project.name)
    return tuple(sorted({*(canonicalize_name(Requirement(line).name) for line in lines), *own}))


def names(groups: Groups, python_version: str) -> tuple[str, ...]:
    """Sorted distribution names of requirements whose markers hold for a CPython ``python_version`` (``3.11.7``) on this machine."""
    environment = {
        **{key: str(value) for key, value in default_environment().items()},
        "python_full_version": python_version,
        "python_version": ".".join(python_version.split(".")[:2]),
    }
    found = (Requirement(line) for lines in groups.values() for line in lines)
    return tuple(sorted({canonicalize_name(item.name) for item in found if item.marker is None or _holds(item.marker, environment)}))


def _holds(marker: Marker, environment: Mapping[str, str]) -> bool:
    try:
        return marker.evaluate({**environment, "extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, RecursionError):
        return False


def shown(line: str, length: int = 120) -> str:
    """Text of the target made fit for a report: one line, printable characters only, cut to ``length``."""
    clean = "".join(char if char.isprintable() else " " for char in line)
    return clean if len(clean) <= length else clean[: length - 1] + "…"
