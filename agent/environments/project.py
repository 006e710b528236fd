"""What a project of the target says about itself: pyproject.toml, setup.cfg and setup.py put together. Nothing of it is run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fixbot.agent.environments import pyproject, setup_files
from fixbot.agent.environments.files import folders, inside, join, read_text, read_toml, table, text

_VERSION_FILES = ("__init__.py", "__about__.py", "__version__.py", "_version.py", "version.py")
_PKG_INFO = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE)

EntryPoints = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Project:
    """A project inside the target. ``folder`` and ``roots`` (import roots) are relative to the target's root; requirements are unparsed.

    ``version`` is a valid version, ``0`` when none is written down as a literal; ``python`` is a specifier such as ``>=3.10``.
    """

    folder: str
    sources: tuple[str, ...]
    name: str
    version: str = "0"
    python: str = ""
    core: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    entry_points: EntryPoints = field(default_factory=dict[str, Mapping[str, str]])
    roots: tuple[str, ...] = ()


def projects(tree: Path) -> Iterator[Project]:
    """Every project of the target, the one at its root first; those in test folders are fixtures and left out."""
    for folder in folders(tree):
        project = None if {"test", "tests", "testing"} & set(folder.split("/")) else read_project(tree, folder)
        if project is not None:
            yield project


def read_project(tree: Path, folder: str) -> Project | None:
    """The project declared by the files of one folder; None when there is none."""
    data = read_toml(tree, join(folder, "pyproject.toml"))
    parts = [pyproject.read(data), setup_files.read_cfg(tree, folder), setup_files.read_py(tree, folder)]
    named = [(name, part) for name, part in zip(("pyproject.toml", "setup.cfg", "setup.py"), parts, strict=True) if part]
    if not named:
        return None
    found = [part for _, part in named]
    return Project(
        folder=folder,
        sources=tuple(join(folder, name) for name, _ in named),
        name=next((part.name for part in found if part.name), ""),
        version=_version(tree, folder, [part.version for part in found], tuple(root for part in found for root in part.roots)),
        python=next((part.python for part in found if part.python), ""),
        core=tuple(line for part in found for line in part.core),
        extras=_merged([part.extras for part in found]),
        groups=_merged([part.groups for part in found]),
        entry_points={group: entries for part in found for group, entries in part.entry_points.items()},
        roots=_roots(tree, folder, tuple(root for part in found for root in part.roots)),
    )


def _merged(mappings: list[Mapping[str, tuple[str, ...]]]) -> Mapping[str, tuple[str, ...]]:
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return {name: tuple(line for mapping in mappings for line in mapping.get(name, ())) for name in names}


def _roots(tree: Path, folder: str, declared: tuple[str, ...]) -> tuple[str, ...]:
    roots = [join(folder, root) for root in declared] or [folder]
    if _is_source_root(tree, join(folder, "src")):
        roots.append(join(folder, "src"))
    return tuple(dict.fromkeys(root for root in roots if is_root(tree, root)))


def is_root(tree: Path, relative: str) -> bool:
    """Whether a relative path may stand on PYTHONPATH: a folder inside the tree without the separator in its name."""
    real = inside(tree, relative)
    return real is not None and real.is_dir() and os.pathsep not in relative and "\n" not in relative


def _is_source_root(tree: Path, relative: str) -> bool:
    folder = inside(tree, relative)
    if folder is None or not folder.is_dir() or (folder / "__init__.py").exists():
        return False
    return any(folder.glob("*.py")) or any(folder.glob("*/__init__.py")) or any(folder.glob("*/*.py"))


def import_roots(tree: Path) -> tuple[str, ...]:
    """Folders to put on PYTHONPATH so that the target's own modules import, relative to ``tree`` (POSIX), in order, ``.`` first."""
    roots = ["."]
    data = read_toml(tree, "pyproject.toml")
    roots += pyproject.pytest_paths(data)
    roots += setup_files.pytest_paths(tree)
    if _is_source_root(tree, "src"):
        roots.append("src")
    roots += [root for project in projects(tree) for root in project.roots]
    return tuple(dict.fromkeys(root for root in (join(".", root) for root in roots) if is_root(tree, root)))


def _version(tree: Path, folder: str, declared: list[str], roots: tuple[str, ...]) -> str:
    places = dict.fromkeys([join(folder, root) for root in roots] + [folder, join(folder, "src")])
    for value in (*declared, *_info_versions(tree, folder, places), *_literal_versions(tree, places)):
        try:
            return str(Version(value))
        except InvalidVersion:
            continue
    return "0"


def _info_versions(tree: Path, folder: str, places: Mapping[str, None]) -> Iterator[str]:
    paths = [join(folder, "PKG-INFO")]
    for place in places:
        real = inside(tree, place)
        paths += [join(place, f"{path.name}/PKG-INFO") for path in sorted(real.glob("*.egg-info"))] if real else []
    for path in paths:
        if match := _PKG_INFO.search(read_text(tree, path)):
            yield match[1]


def _literal_versions(tree: Path, places: Mapping[str, None]) -> Iterator[str]:
    for place in places:
        real = inside(tree, place)
        if real is None or not real.is_dir():
            continue
        packages = [path.name for path in sorted(real.iterdir()) if (path / "__init__.py").is_file() and path.name not in {"tests", "test"}]
        for package in packages[:20]:
            for name in _VERSION_FILES:
                yield from _assigned_versions(read_text(tree, join(place, f"{package}/{name}")))


def _assigned_versions(source: str) -> Iterator[str]:
    if "version" not in source.lower():
        return
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if names & {"__version__", "version", "VERSION"} and isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def python_request(tree: Path, found: list[Project]) -> str:
    """What the target says about the Python version as a specifier: requires-python, else .python-version, else runtime.txt, else ''."""
    if declared := next((project.python for project in found if project.python), ""):
        return declared
    for name in (".python-version", "runtime.txt"):
        if match := re.match(r"\s*(?:c?python-?)?(\d+\.\d+)(?:\.\d+)?\s*$", "".join(read_text(tree, name).splitlines()[:1])):
            return f"=={match[1]}.*"
    pipfile = text(table(read_toml(tree, "Pipfile"), "requires").get("python_version"))
    return f"=={pipfile}.*" if re.fullmatch(r"\d+\.\d+", pipfile) else ""
