"""Uses of modules and names that have moved (``knowledge/moves.toml``): a collector, with the rewriting where it is certain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from fixbot.detectors.facts import catches_import_error, handler_names, is_type_checking
from fixbot.detectors.knowledge import table
from fixbot.detectors.rewrites import loads, of_attribute, of_import, place_of
from fixbot.detectors.source import SourceFile

_VERSIONED = re.compile(r"version|VERSION|PY2|PY3|\bsix\b|find_spec|hasattr|implementation|sys\.modules|_available\b")


@cache
def all_moves() -> Sequence[Mapping[str, Any]]:
    """The table's moves with ``names`` as old -> new."""
    return [{**move, "names": _mapping(move.get("names", ()))} for move in table("moves")["move"]]


def _mapping(names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    return dict(names) if isinstance(names, Mapping) else {name: name for name in names}


@cache
def _by_module() -> Mapping[str, Sequence[int]]:
    modules: dict[str, list[int]] = {}
    for index, move in enumerate(all_moves()):
        modules.setdefault(move["module"], []).append(index)
    return modules


@cache
def _tops() -> frozenset[str]:
    return frozenset(module.partition(".")[0] for module in _by_module())


@cache
def _marks() -> Mapping[bytes, Sequence[tuple[frozenset[bytes], frozenset[bytes]]]]:
    """By the first word of a module: the words of the module, all of which a file holds that uses a move, and the names, one of which it
    holds; none where the module is gone as a whole."""
    marks: dict[bytes, list[tuple[frozenset[bytes], frozenset[bytes]]]] = {}
    for move in all_moves():
        module = move["module"].encode().split(b".")
        names = frozenset[bytes]() if move.get("gone") else frozenset(name.encode() for name in move["names"])
        marks.setdefault(module[0], []).append((frozenset(module), names))
    return marks


def _may_use(words: frozenset[bytes]) -> bool:
    """Whether a file with these words may use one of the moves."""
    for top in words.intersection(_marks()):
        for module, names in _marks()[top]:
            if module <= words and not (names and names.isdisjoint(words)):
                return True
    return False


def moved(source: SourceFile) -> list[dict[str, Any]]:
    """The places of a file that use an old home and are not made for several versions at once.

    ``{"move": index, "names": [...], "span": [...], "scope": "...", "fix": {...} or None}``; ``names`` is empty where the module is
    imported as a whole. ``fix`` says how to rewrite: ``kind`` (from, module, attribute), ``aliases`` [[new name, local name or None]],
    ``uses`` [[span, code]].
    """
    if not _may_use(source.words):
        return []
    found = [entry for node in source.import_statements if _may_move(node) for entry in _of_import(node, source)]
    return [*found, *_attributes(source)]


def _may_move(node: ast.Import | ast.ImportFrom) -> bool:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return any(module.partition(".")[0] in _tops() for module in modules)


def _entry(node: ast.stmt | ast.expr, source: SourceFile, index: int, names: Sequence[str], fix: dict[str, Any] | None) -> dict[str, Any]:
    unless = all_moves()[index].get("unless")
    if unless and re.search(unless, source.text):
        fix = None
    return {"move": index, "names": list(names), "span": place_of(node, source), "scope": source.scope(node), "fix": fix}


def _of_import(node: ast.Import | ast.ImportFrom, source: SourceFile) -> Iterator[dict[str, Any]]:
    wanted: dict[int, list[ast.alias]] = {}
    if isinstance(node, ast.Import):
        for alias in node.names:
            if (index := _gone(alias.name)) is not None:
                wanted.setdefault(index, []).append(alias)
    elif not node.level and node.module:
        for alias in node.names:
            if (index := _home(node.module, alias.name)) is not None:
                wanted.setdefault(index, []).append(alias)
    if not wanted or _is_guarded(node, source):
        return
    for index, aliases in wanted.items():
        move = all_moves()[index]
        whole = isinstance(node, ast.Import) or f"{node.module}.{aliases[0].name}" == move["module"]
        names = [] if whole else [alias.name for alias in aliases]
        yield _entry(node, source, index, names, of_import(node, aliases, move, source, whole))


def _gone(module: str) -> int | None:
    """The move of a module that is gone, or of the innermost package around it that is."""
    while module:
        for index in _by_module().get(module, ()):
            if all_moves()[index].get("gone"):
                return index
        module = module.rpartition(".")[0]
    return None


def _home(module: str, name: str) -> int | None:
    known = _by_module().get(module, ())
    named = next((index for index in known if name in all_moves()[index]["names"]), None)
    return named if named is not None else _gone(f"{module}.{name}")


def _is_guarded(node: ast.AST, source: SourceFile) -> bool:
    """Whether the code around reckons with the old home missing."""
    for outer in source.ancestors(node):
        match outer:
            case ast.Try() | ast.TryStar():
                caught = {name for handler in outer.handlers for name in handler_names(handler)}
                if "AttributeError" in caught or any(map(catches_import_error, outer.handlers)):
                    return True
            case ast.If() | ast.IfExp() | ast.While():
                if is_type_checking(outer.test) or _VERSIONED.search(ast.unparse(outer.test)):
                    return True
            case ast.With():
                if any("suppress" in ast.unparse(item.context_expr) for item in outer.items):
                    return True
            case _:
                pass
    return False


def _attributes(source: SourceFile) -> Iterator[dict[str, Any]]:
    """Uses as ``module.name`` of modules that stay while names of them move."""
    homes = {local: origin for local, origin in source.imports.items() if not source.words.isdisjoint(_leaving(origin))}
    if not homes or not _mentions(source, homes):
        return
    for node in source.nodes(ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in homes:
            index = next((one for one in _by_module()[homes[node.value.id]] if node.attr in all_moves()[one]["names"]), None)
            if index is not None and loads(source, node.value.id) is not None and not _is_guarded(node, source):
                yield _entry(node, source, index, [node.attr], of_attribute(node, all_moves()[index], source))


@cache
def _leaving(origin: str) -> frozenset[bytes]:
    """The names that move out of a module that stays."""
    moves = [all_moves()[index] for index in _by_module().get(origin, ())]
    return frozenset(name.encode() for move in moves for name in move["names"] if not all(move.get("gone") for move in moves))


def _mentions(source: SourceFile, homes: Mapping[str, str]) -> bool:
    parts = [
        rf"\b{local}\s*\.\s*(?:{'|'.join(name for index in _by_module()[origin] for name in all_moves()[index]['names'])})\b"
        for local, origin in homes.items()
    ]
    return re.search("|".join(parts), source.text) is not None
