"""A database connection stays open: ``with`` ended only its transaction, or an error skipped its ``close``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fixbot.detectors.finding import CODEMOD, MODEL, Fix, Severity, Span
from fixbot.detectors.handlers import called_name, is_broad, leaves, own_nodes
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import Function, SourceFile, dotted

_HINTS = (b"sqlite", b"psycopg", b"pyodbc", b"mysql", b"MySQL", b"sqlcipher", b"mssql", b"racle", b"pg8000", b"sqlalchemy", b"sqlmodel")
_USES = re.compile(rb"(?i)(?:with|=|,)\s+(?:await\s+)?[\w.]*(?:conn|db|database|sql|session)\w*\(")
_LAZY = frozenset({"cursor", "execute", "executemany", "executescript", "iterdump", "blobopen", "query"})
_LATER = frozenset({"iter", "map", "filter", "zip", "enumerate", "reader"})
_KEEPERS = frozenset({"enter_context", "push", "closing", "aclosing", "callback", "register", "append", "put", "add", "setdefault", "finalize"})
_OWN_CLASS = ("factory", "connection_factory")
_MAINS = frozenset({"main", "_main", "cli"})
_Name = tuple[ast.Call, str]  # a call that opens a connection, and the name that it is bound to


@rule(ast.With, severity=Severity.HIGH, fix=CODEMOD, hint=_HINTS)
def check_with(node: ast.With, source: SourceFile) -> Iterator[Report]:
    """``with connect() as conn`` of a driver whose connections only end the transaction."""
    for call, name in _with_calls(node):
        if _kind(call, source) == "transaction" and (fix := _with_fix(node, name, source)):
            yield report(call, _with_message(call), fix=fix)


@rule((ast.FunctionDef, ast.AsyncFunctionDef), severity=Severity.HIGH, fix=CODEMOD, hint=_HINTS)
def check_function(node: Function, source: SourceFile) -> Iterator[Report]:
    """``conn = connect()`` that is closed only where nothing goes wrong, or nowhere."""
    for statement, call, name in _bound_calls(node):
        kind = _kind(call, source)
        if kind and (found := _leak(node, statement, name, kind, source)):
            yield report(call, found[0], fix=found[1])


def factories(source: SourceFile) -> dict[str, str]:
    """The names of a file's top level that open a connection when they are called, with what ``with`` does to it."""
    if not any(hint in source.data for hint in _HINTS):
        return {}
    names = [node.name for node in source.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names += [target.id for node in source.tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)]
    return {name: kind for name in names if (kind := _made_by(name, source))}


def uses(source: SourceFile) -> list[dict[str, Any]]:
    """Leaks that there are if an imported function opens a connection: ``{"origin", "kind", "span", "scope", "key", "message", "fix"}``."""
    if not _USES.search(source.data) or is_test(source.path):
        return []
    return list(_uses(source))


def _uses(source: SourceFile) -> Iterator[dict[str, Any]]:
    known = table("connection_not_closed")["connections"]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.With):
            for call, name in _with_calls(node):
                origin = source.qualified(call.func)
                if origin and origin not in known and (fix := _with_fix(node, name, source)):
                    yield _entry(call, origin, "transaction", _with_message(call), fix, source)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement, call, name in _bound_calls(node):
                origin = source.qualified(call.func)
                for kind in ("transaction", "closes") if origin and origin not in known else ():
                    if found := _leak(node, statement, name, kind, source):
                        yield _entry(call, origin or "", kind, *found, source)


def _entry(call: ast.Call, origin: str, kind: str, message: str, fix: Fix, source: SourceFile) -> dict[str, Any]:
    place = source.span(call)
    return {
        "origin": origin,
        "kind": kind,
        "span": [place.line, place.column, place.end_line, place.end_column],
        "scope": source.scope(call),
        "key": ast.dump(call),
        "message": message,
        "codemod": fix == CODEMOD,
    }


@rule(severity=Severity.HIGH, fix=CODEMOD, collects=(factories, uses))
def check_imported(project: Project) -> Iterator[Report]:
    """Both, where the connection is opened by a function of another file of the project."""
    made = project.collected(factories)
    for path, entries in project.collected(uses).items():
        for entry in entries:
            origin: str = entry["origin"]
            module, _, name = origin.lstrip(".").rpartition(".")
            home = project.resolve(module, path, len(origin) - len(origin.lstrip(".")))
            if home and made.get(home, {}).get(name) == entry["kind"]:
                fix = CODEMOD if entry["codemod"] else MODEL
                yield report(Span(*entry["span"]), entry["message"], key=entry["key"], path=path, scope=entry["scope"], fix=fix)


# What opens a connection


def _kind(call: ast.Call, source: SourceFile) -> str | None:
    """What ``with`` does to the connection that a call opens: "transaction" or "closes"; None when the call opens none that is known."""
    if any(keyword.arg in _OWN_CLASS for keyword in call.keywords) or is_test(source.path):
        return None
    origin = source.qualified(call.func)
    if origin:
        return table("connection_not_closed")["connections"].get(origin)
    if isinstance(call.func, ast.Name):
        return _made_by(call.func.id, source)
    if isinstance(call.func, ast.Attribute) and dotted(call.func.value) in ("self", "cls"):
        owner = source.enclosing(call, ast.ClassDef)
        methods = [node for node in owner.body if getattr(node, "name", "") == call.func.attr] if owner else []
        return _returned(methods[0], source) if len(methods) == 1 else None
    return None


def _made_by(name: str, source: SourceFile) -> str | None:
    """The same for a name that the file binds once, at its top level, to a function or a session maker."""
    bound = [node for node in source.tree.body if name in _names_of(node)]
    if len(bound) != 1:
        return None
    node = bound[0]
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
        return table("connection_not_closed")["makers"].get(source.qualified(_unsubscripted(node.value.func)) or "")
    return _returned(node, source)


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _returned(function: ast.AST, source: SourceFile) -> str | None:
    """What ``with`` does to the connection that a function returns: freshly opened in every call, kept nowhere, and by no decorator."""
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or not _plainly_decorated(function):
        return None
    nodes = list(own_nodes(function.body))
    if any(isinstance(node, ast.Yield | ast.YieldFrom | ast.Global) for node in nodes):
        return None
    opened = {name: call for statement, call, name in _bound_calls(function) if not _escapes(function, statement, name, returned=True)}
    kinds: set[str | None] = set()
    for node in nodes:
        value = node.value if isinstance(node, ast.Return) else None
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Name):
            value = opened.get(value.id, value)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            direct = isinstance(value, ast.Call) and source.qualified(value.func)
            kinds.add(_kind(value, source) if direct and isinstance(value, ast.Call) else None)
    return kinds.pop() if len(kinds) == 1 else None


def _plainly_decorated(function: Function) -> bool:
    return {dotted(decorator) for decorator in function.decorator_list} <= {"staticmethod", "classmethod"}


# What happens to it


def _with_calls(node: ast.With) -> Iterator[_Name]:
    for item in node.items:
        if isinstance(item.context_expr, ast.Call) and isinstance(item.optional_vars, ast.Name):
            yield item.context_expr, item.optional_vars.id


def _bound_calls(function: Function) -> Iterator[tuple[ast.stmt, ast.Call, str]]:
    """The statements ``name = call()`` of a function, also awaited and annotated."""
    for node in own_nodes(function.body):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else getattr(node, "target", None)
            value = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(value, ast.Call) and isinstance(target, ast.Name):
                yield node, value, target.id


def _with_message(call: ast.Call) -> str:
    return f"`with {dotted(call.func)}(...)` only ends the transaction: the connection stays open after the block, one more at every call"


def _with_fix(node: ast.With, name: str, source: SourceFile) -> Fix | None:
    """What can close the connection of a ``with`` at its end; None where it is closed otherwise or meant to live on."""
    scope = source.function(node)
    nodes = list(own_nodes(scope.body if scope else source.tree.body))
    inside = {part for other in nodes if isinstance(other, ast.With) and _binds(other, name) for part in ast.walk(other)}
    if any(isinstance(part, ast.Name) and part.id == name and part not in inside for part in nodes):
        return None
    if any(_is_close(part, name) or _hands_over(part, {name}, returned=False) for part in nodes):
        return None
    cursors = _cursors(name, ast.walk(node))
    end = node.end_lineno or node.lineno
    for part in nodes:
        if isinstance(part, ast.Name) and part.id in cursors - {name} and part.lineno > end:
            return MODEL
        if isinstance(part, ast.Return | ast.Yield) and part in inside and part.value and _outlives(part.value, cursors - {name}, name):
            return MODEL
    return CODEMOD


def _binds(node: ast.With, name: str) -> bool:
    return any(isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == name for item in node.items)
