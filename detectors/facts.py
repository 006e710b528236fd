"""Collectors that several project rules share: what a file imports and what it defines. Values are JSON and cached with the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, cast

from fixbot.detectors.source import SourceFile, dotted
from fixbot.detectors.walk import descendants


def imports(source: SourceFile) -> list[dict[str, Any]]:
    """Every import statement, in source order, one entry for each imported module.

    ``{"module": "a.b", "level": 0, "names": [["c", "d"]], "span": [line, column, end line, end column], "guard": "try"}``. ``names`` is
    None for ``import a.b`` and holds [name, local name] pairs for ``from``. ``guard`` says when the statement does not simply run as
    the file is imported: ``""`` it does, ``try`` inside a ``try`` with a handler for ImportError or wider, ``type-checking``,
    ``function`` inside a function, ``condition`` inside another ``if``.
    """
    if b"import" not in source.data:
        return []
    nested = any(node.col_offset for node in source.import_statements)
    guarded = _imports(source.tree.body, "") if nested else ((node, "") for node in source.import_statements)
    return [entry for node, guard in guarded for entry in _entries(node, guard, source)]


def _entries(node: ast.Import | ast.ImportFrom, guard: str, source: SourceFile) -> Iterator[dict[str, Any]]:
    place = source.span(node)
    span = [place.line, place.column, place.end_line, place.end_column]
    if isinstance(node, ast.ImportFrom):
        names = [[alias.name, alias.asname or alias.name] for alias in node.names]
        yield {"module": node.module or "", "level": node.level, "names": names, "span": span, "guard": guard}
        return
    for alias in node.names:
        yield {"module": alias.name, "level": 0, "names": None, "span": span, "guard": guard}


def _imports(body: list[ast.stmt], guard: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node, guard
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(node.body, "try" if guard == "try" else "function")
            case ast.If():
                yield from _imports(node.body, guard or ("type-checking" if is_type_checking(node.test) else "condition"))
                yield from _imports(node.orelse, guard or "condition")
            case ast.Try() | ast.TryStar():
                yield from _imports(node.body, "try" if any(catches_import_error(handler) for handler in node.handlers) else guard)
                for handler in node.handlers:
                    yield from _imports(handler.body, guard or "try")
                yield from _imports(node.orelse + node.finalbody, guard)
            case ast.ClassDef() | ast.With() | ast.AsyncWith():
                yield from _imports(node.body, guard)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from _imports(node.body + node.orelse, guard)
            case _:
                pass


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``."""
    return (dotted(test) or "").rpartition(".")[2] == "TYPE_CHECKING"


def catches_import_error(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches a failed import."""
    return handler.type is None or not {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}.isdisjoint(
        handler_names(handler)
    )


def handler_names(handler: ast.ExceptHandler) -> list[str]:
    """The exception names of a handler as written, dotted; empty for a bare ``except:``."""
    if handler.type is None:
        return []
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [name for name in map(dotted, types) if name]


def definitions(source: SourceFile) -> dict[str, Any]:
    """The names that a module binds at its top level: ``{"names": [...], "own": [...], "stars": ["x.y"], "dynamic": false}``.

    ``own`` are those that it defines itself, not by importing them; ``stars`` are the modules that are imported whole; ``dynamic`` is
    true where names may appear that cannot be read off: a module level ``__getattr__``, ``globals()``, ``exec``, ``sys.modules``.
    """
    names: dict[str, None] = {}
    own: dict[str, None] = {}
    stars: list[str] = []
    for node in _top_level(source.tree.body):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            stars.append("." * node.level + (node.module or ""))
        bound = dict.fromkeys(_bound(node))
        names.update(bound)
        if not isinstance(node, ast.Import | ast.ImportFrom):
            own.update(bound)
    dynamic = "__getattr__" in names or any(mark in source.data for mark in (b"globals()", b"exec(", b"sys.modules[", b"setattr("))
    return {"names": list(names), "own": list(own), "stars": stars, "dynamic": dynamic} if names or stars or dynamic else {}


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from _top_level(handler.body)
            for case in getattr(node, "cases", []):
                yield from _top_level(case.body)


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in node.names if alias.name != "*")
        case _:
            for child in _expressions(node):
                yield from (part.id for part in descendants(child) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """What a statement holds besides its blocks."""
    for name, value in ast.iter_fields(node):
        if name in ("body", "orelse", "finalbody", "handlers"):
            continue
        for child in cast("list[object]", value) if isinstance(value, list) else [value]:
            if isinstance(child, ast.match_case):
                yield child.pattern
            elif isinstance(child, ast.AST):
                yield child
