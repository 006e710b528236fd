"""A module or name is used where it no longer is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from fixbot.detectors.declared import Declared, declared_for, newest_allowed, oldest_allowed
from fixbot.detectors.finding import CODEMOD, MODEL, Severity, Span
from fixbot.detectors.moves import all_moves, moved
from fixbot.detectors.project import Project
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.rewrites import Move

_PYTHON = "3.10"  # what a project that names no Python version is taken to need at most


@rule(severity=Severity.HIGH, fix=CODEMOD, collects=moved)
def check(project: Project) -> Iterator[Report]:
    """One finding for each import, and for each use as an attribute, where the versions that may be installed have the new place."""
    for path, entries in project.collected(moved).items():
        for entry in entries:
            index: int = entry["move"]
            move = all_moves()[index]
            if path.endswith("setup.py") or project.holds(move["module"].partition(".")[0], path):
                continue
            here = declared_for(project, path)
            standing = _standing(move, here)
            if standing is not None:
                yield _report(path, entry, move, here, *standing)


def _standing(move: Move, here: Declared) -> tuple[bool, bool] | None:
    """Whether the newest version that may be installed lacks the old place, and whether every one has the new; None for no finding."""
    known = [move["since"], *([move["removed"]] if "removed" in move else [])]
    python = _new_python(move, here)
    if "distribution" not in move:
        specifier: SpecifierSet | None = here.python
    else:
        specifier = here.specifier(move["distribution"])
        if specifier is None and move.get("undeclared") == "newest" and move["distribution"].lower() not in here.names:
            specifier = SpecifierSet()
    newest = None if specifier is None else newest_allowed(specifier, known)
    if specifier is None or newest is None or newest < Version(move["since"]) or not python:
        return None
    oldest = oldest_allowed(specifier, known)
    everywhere = oldest is None or oldest >= Version(move["since"])
    broken = "removed" in move and newest >= Version(move["removed"])
    if "distribution" not in move:
        everywhere = everywhere and (oldest is not None or Version(move["since"]) <= Version(_PYTHON))
    return (broken, everywhere) if broken or everywhere else None


def _new_python(move: Move, here: Declared) -> bool:
    """Whether every Python version of the project has the new place, where that is a question of its own."""
    if "python" not in move:
        return True
    oldest = oldest_allowed(here.python, [move["python"]])
    return oldest is None or oldest >= Version(move["python"])


def _report(path: str, entry: Mapping[str, Any], move: Move, here: Declared, broken: bool, everywhere: bool) -> Report:
    home = move.get("home")
    available = home is None or here.brings(home)
    fix = entry["fix"] if available and everywhere else None
    shim = move["module"].startswith("distutils") and here.brings("setuptools")
    return report(
        Span(*entry["span"]),
        _message(entry, move, broken, shim) + ("" if available else f" (of {home}, which is not declared)"),
        key=f"{move['module']} {' '.join(entry['names'])}",
        path=path,
        scope=entry["scope"],
        fix=CODEMOD if fix else MODEL,
        severity=Severity.LOW if shim or not broken else Severity.HIGH,
        rewrite=fix,
        names=entry["names"],
        module=move["module"],
        to=move.get("to", ""),
    )


def _message(entry: Mapping[str, Any], move: Move, broken: bool, shim: bool) -> str:
    names: list[str] = entry["names"] if move["names"].keys() >= set(entry["names"]) else []
    old = ", ".join(f"`{move['module']}.{name}`" for name in names) or f"`{move['module']}`"
    owner = move.get("distribution", "Python")
    verb = "are" if len(names) > 1 else "is"
    if move.get("removed") == "0":
        state = f"{old} {verb} not in {owner}"
    elif broken:
        state = f"{old} {verb} gone since {owner} {move['removed']}" + (", only setuptools still provides it" if shim else "")
    elif "removed" in move:
        state = f"{old} {verb} gone with {owner} {move['removed']}"
    else:
        state = f"{old} {verb} deprecated"
    if "to" not in move:
        return f"{state}: {move['advice']}"
    new = ", ".join(f"`{move['to']}.{move['names'][name]}`" for name in names) or f"`{move['to']}`"
    return f"{state}: {new} {'take their' if len(names) > 1 else 'takes its'} place"
