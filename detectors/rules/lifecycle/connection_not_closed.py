"""A database connection stays open: ``with`` ended only its transaction, or an error skipped its ``close``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import cache, lru_cache
from typing import Any

from fixbot.detectors.finding import CODEMOD, MODEL, Fix, Severity, Span
from fixbot.detectors.handlers import called_name, is_broad, leaves, own_nodes, own_statements
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import Report, collector, report, rule
from fixbot.detectors.source import Function, SourceFile, dotted
from fixbot.detectors.walk import children, descendants

_HINTS = (b"sqlite", b"psycopg", b"pyodbc", b"mysql", b"MySQL", b"sqlcipher", b"mssql", b"racle", b"pg8000", b"sqlalchemy", b"sqlmodel")
_USES = re.compile(rb"(?:with|=)[ \t(\r\n]+(?:await )?[\w.]*?(?:[cC]onn|[dD][bB]|[dD]atabase|[sS]ql|SQL|[sS]ession)\w*\(")
_OPENER = re.compile(r"(?i)conn|db|database|sql|session")
_LAZY = frozenset({"cursor", "execute", "executemany", "executescript", "iterdump", "blobopen", "query"})
_LATER = frozenset({"iter", "map", "filter", "zip", "enumerate", "reader"})
_KEEPERS = frozenset({"enter_context", "push", "closing", "aclosing", "callback", "register", "append", "put", "add", "setdefault"})
_MAINS = ("main", "_main", "cli")
_ONLY_TRANSACTION = "`with {}(...)` only ends the transaction: the connection stays open after the block, one more at every call"
_NEVER = "`{0}` is never closed: the connection stays open until it is collected, which an error or a reference delays"
_ON_SUCCESS = "`{0}` is closed only when nothing goes wrong: an error before `{0}.close()` leaves the connection open"
_Leak = tuple[ast.Call, str, str, Fix]  # a call, what it must open ("transaction" or "closes") for there to be a leak, message, fix


@rule((ast.With, ast.FunctionDef, ast.AsyncFunctionDef), severity=Severity.HIGH, fix=CODEMOD, hint=_HINTS)
def check(node: ast.With | Function, source: SourceFile) -> Iterator[Report]:
    """What the file opens itself, or by a function of its own."""
    if not _has_driver(source):
        return
    for call, _, message, fix in _leaks(node, source, lambda call: filter(None, [_kind(call, source)])):
        yield report(call, message, fix=fix)


@cache
def _drivers() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for kind in ("connections", "makers") for name in table("connection_not_closed")[kind])


@cache
def _openers() -> Sequence[frozenset[bytes]]:
    """For each call that opens a connection the words that a file holds which makes it."""
    return [frozenset(name.encode().split(b".")) for kind in ("connections", "makers") for name in table("connection_not_closed")[kind]]


@lru_cache(maxsize=1)
def _has_driver(source: SourceFile) -> bool:
    """Whether a file outside the tests imports a module of which a call opens a connection, and may make such a call."""
    if is_test(source.path) or not any(words <= source.words for words in _openers()):
        return False
    return any(origin.partition(".")[0] in _drivers() for origin in source.imports.values())


@collector(hint=_HINTS)
def factories(source: SourceFile) -> dict[str, str]:
    """The names of a file's top level that open a connection when they are called, with what ``with`` does to it."""
    body = source.tree.body if _has_driver(source) else []
    return {name: kind for node in body for name in _names_of(node) if (kind := _made_by(name, source))}


def uses(source: SourceFile) -> list[dict[str, Any]]:
    """The leaks that there are if an imported function opens a connection of a kind: ``{"origin": ".db.connect", "kind", "span", ...}``."""
    if is_test(source.path) or not _USES.search(source.data):
        return []
    return [
        {
            "origin": source.qualified(call.func),
            "kind": kind,
            "span": list(astuple(source.span(call))),
            "scope": source.scope(call),
            "key": ast.dump(call),
            "message": message,
            "codemod": fix == CODEMOD,
        }
        for node in _opening(source)
        for call, kind, message, fix in _leaks(node, source, lambda call: _possible_kinds(call, source))
    ]


def _opening(source: SourceFile) -> list[ast.With | Function]:
    """The ``with`` statements and functions that hold a call which may open a connection."""
    withs = [node for node in source.nodes(ast.With) if any(_may_open(item.context_expr, source) for item in node.items)]
    values = ast.Call, ast.Await
    calls = [node for node in source.nodes(ast.Assign, ast.AnnAssign) if isinstance(node.value, values) and _may_open(node.value, source)]
    return [*withs, *dict.fromkeys(function for node in calls if (function := source.function(node)))]


def _may_open(value: ast.expr | None, source: SourceFile) -> bool:
    value = value.value if isinstance(value, ast.Await) else value
    return isinstance(value, ast.Call) and _may_be_opener(called_name(value)) and bool(_possible_kinds(value, source))


@lru_cache(maxsize=4096)
def _may_be_opener(name: str) -> bool:
    return _OPENER.search(name) is not None


def _possible_kinds(call: ast.Call, source: SourceFile) -> tuple[str, ...]:
    origin = source.qualified(call.func) if _may_be_opener(called_name(call)) else None
    return ("transaction", "closes") if origin and origin not in table("connection_not_closed")["connections"] else ()


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


def _kind(call: ast.Call, source: SourceFile, depth: int = 0) -> str | None:
    """What ``with`` does to the connection that a call opens: "transaction" or "closes"; None when the call opens none that is known."""
    in_memory = any(isinstance(one, ast.Constant) and one.value == ":memory:" for one in call.args)
    if depth > 2 or in_memory or any(keyword.arg in ("factory", "connection_factory") for keyword in call.keywords):
        return None
    if origin := source.qualified(call.func):
        return table("connection_not_closed")["connections"].get(origin)
    if isinstance(call.func, ast.Name):
        return _made_by(call.func.id, source, depth)
    if isinstance(call.func, ast.Attribute) and dotted(call.func.value) in ("self", "cls"):
        owner = source.enclosing(call, ast.ClassDef)
        methods = [node for node in owner.body if getattr(node, "name", "") == call.func.attr] if owner else []
        return _returned(methods[0], source, depth) if len(methods) == 1 else None
    return None


def _made_by(name: str, source: SourceFile, depth: int = 0) -> str | None:
    """The same for a name that the file binds once, at its top level, to a function or a session maker."""
    bound = [node for node in source.tree.body if name in _names_of(node)]
    if len(bound) != 1:
        return None
    value = bound[0].value if isinstance(bound[0], ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Call):
        maker = value.func.value if isinstance(value.func, ast.Subscript) else value.func  # async_sessionmaker[AsyncSession](...)
        return table("connection_not_closed")["makers"].get(source.qualified(maker) or "")
    return _returned(bound[0], source, depth)


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _returned(function: ast.AST, source: SourceFile, depth: int) -> str | None:
    """What ``with`` does to the connection that a function returns: freshly opened in every call, kept nowhere, and by no decorator."""
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    nodes = list(own_nodes(function.body))
    plain = {dotted(decorator) for decorator in function.decorator_list} <= {"staticmethod", "classmethod"}
    if not plain or any(isinstance(node, ast.Yield | ast.YieldFrom | ast.Global) for node in nodes):
        return None
    others = [node for node in nodes if not isinstance(node, ast.Return)]
    opened = {name: call for _, call, name in _bound_calls(function) if not any(_keeps(node, name) for node in others)}
    kinds: set[str | None] = set()
    for node in nodes:
        value = node.value if isinstance(node, ast.Return) else None
        value = value.value if isinstance(value, ast.Await) else value
        value = opened.get(value.id, value) if isinstance(value, ast.Name) else value
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            kinds.add(_kind(value, source, depth + 1) if isinstance(value, ast.Call) else None)
    return kinds.pop() if len(kinds) == 1 else None


def _leaks(node: ast.With | Function, source: SourceFile, kinds: Callable[[ast.Call], Iterable[str]]) -> Iterator[_Leak]:
    if isinstance(node, ast.With):
        for item in node.items:
            call, name = item.context_expr, item.optional_vars
            if not isinstance(call, ast.Call) or not isinstance(name, ast.Name) or "transaction" not in kinds(call):
                continue
            if fix := _with_fix(node, name.id, source):
                yield call, "transaction", _ONLY_TRANSACTION.format(dotted(call.func)), fix
        return
    for statement, call, name in _bound_calls(node):
        for kind in kinds(call):
            if found := _leak(node, statement, name, kind, source):
                yield call, kind, *found


def _bound_calls(function: Function) -> Iterator[tuple[ast.stmt, ast.Call, str]]:
    """The statements ``name = call()`` of a function, also awaited and annotated."""
    for node in own_statements(function.body):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else getattr(node, "target", None)
            value = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(value, ast.Call) and isinstance(target, ast.Name):
                yield node, value, target.id


def _with_fix(node: ast.With, name: str, source: SourceFile) -> Fix | None:
    """What can close the connection of a ``with`` at its end; None where it is closed otherwise or meant to live on."""
    scope = source.function(node)
    if scope is None or scope.name in _MAINS:
        return None
    nodes = list(own_nodes(scope.body))
    binding = [one for one in nodes if isinstance(one, ast.With) and any(_is(item.optional_vars, name) for item in one.items)]
    inside = {part for other in binding for part in descendants(other)}
    for part in nodes:
        if (_is(part, name) and part not in inside) or _closes(part, name) or _keeps(part, name):
            return None
    own = list(descendants(node))
    cursors = _cursors(name, own) - {name}
    late = any(isinstance(part, ast.Name) and part.id in cursors and part.lineno > (node.end_lineno or 0) for part in nodes)
    return MODEL if late or _lends(own, cursors | {name}, name) else CODEMOD


def _leak(function: Function, statement: ast.stmt, name: str, kind: str, source: SourceFile) -> tuple[str, Fix] | None:
    """Why the connection bound by a statement may stay open, and what can fix it; None where it is closed or not the function's own."""
    nodes = list(own_nodes(function.body))
    if function.name in _MAINS or "fixture" in "".join(map(ast.unparse, function.decorator_list)) or not _is_own(function, name, nodes):
        return None
    held = any(isinstance(part, ast.withitem) and _is(part.context_expr, name) for part in nodes)
    cleanups = [one for part in nodes if isinstance(part, ast.Try | ast.TryStar) for one in (*part.finalbody, *part.handlers)]
    if (held and kind == "closes") or any(_closes(part, name) for one in cleanups for part in descendants(one)):
        return None
    if not any(_closes(part, name) for part in nodes):
        passed = any(isinstance(part, ast.Call) and any(_is(one, name) for one in _arguments(part)) for part in nodes)
        forever = any(isinstance(part, ast.While) and isinstance(part.test, ast.Constant) for part in nodes)
        return None if passed or forever or _lends(nodes, _cursors(name, nodes), name) else (_NEVER.format(name), MODEL)
    between = between_open_and_close(source.block(statement), statement, name)
    if between is not None and not any(_may_fail(one, name) for one in between):
        return None
    return _ON_SUCCESS.format(name), MODEL if between is None else CODEMOD


def between_open_and_close(block: Sequence[ast.stmt], statement: ast.stmt, name: str) -> list[ast.stmt] | None:
    """The statements from the one that opens a connection to the one that closes it in the same block; None where none does."""
    after = list(block[block.index(statement) + 1 :])
    return next((after[:number] for number, one in enumerate(after) if is_close(one, name)), None)


def is_close(statement: ast.stmt, name: str) -> bool:
    """Whether a statement is ``name.close()``, awaited or not, or that below ``if name:`` or ``if name is not None:``."""
    if isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse:
        return ast.unparse(statement.test) in (name, f"{name} is not None") and is_close(statement.body[0], name)
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    return isinstance(value, ast.Call) and _closes(value.func, name)


def _is_own(function: Function, name: str, nodes: Sequence[ast.AST]) -> bool:
    """Whether the name is bound once, to the connection, and the connection stays with the function."""
    bound = sum(arg.arg == name for arg in descendants(function.args) if isinstance(arg, ast.arg))
    for part in nodes:
        bound += _is(part, name) and not isinstance(getattr(part, "ctx", None), ast.Load)
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant) and _is(part.targets[0], name):
            bound -= 1  # conn = None
    return bound == 1 and not any(_keeps(part, name) for part in nodes)


def _may_fail(statement: ast.stmt, name: str) -> bool:
    """Whether a statement calls anything but ``name.cursor()`` outside a ``try`` that swallows every error."""
    if isinstance(statement, ast.Try) and any((one.type is None or is_broad(one)) and not leaves(one) for one in statement.handlers):
        return any(isinstance(part, ast.Return) for part in descendants(statement))
    calls = [part for part in descendants(statement) if isinstance(part, ast.Call | ast.Yield)]
    return any(not (isinstance(part, ast.Call) and dotted(part.func) == f"{name}.cursor") for part in calls)


def _is(part: ast.AST | None, name: str) -> bool:
    return isinstance(part, ast.Name) and part.id == name


def _closes(part: ast.AST, name: str) -> bool:
    return isinstance(part, ast.Attribute) and part.attr in ("close", "aclose") and _is(part.value, name)


def _items(value: ast.expr) -> list[ast.expr]:
    return list(value.elts) if isinstance(value, ast.Tuple | ast.List) else [value]


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [one.value if isinstance(one, ast.Starred) else one for one in (*call.args, *(keyword.value for keyword in call.keywords))]


def _keeps(part: ast.AST, name: str) -> bool:
    """Whether a node puts the connection where it may live longer than the function."""
    match part:
        case ast.Call():
            return called_name(part) in _KEEPERS and any(_is(one, name) or _closes(one, name) for one in _arguments(part))
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
            stored = any(not isinstance(target, ast.Name) for target in targets) and _outlives(value, {name})
            return stored or any(_is(one, name) for one in _items(value))
        case ast.Dict() | ast.Set() | ast.List():
            return any(_is(one, name) for one in children(part))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
            return any(_is(one, name) for one in descendants(part))
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return name in names
        case _:
            return False


def _cursors(name: str, nodes: Sequence[ast.AST]) -> set[str]:
    """The name and those of cursors and the like, which are of no use when the connection is closed."""
    names = {name}
    for part in nodes:
        if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name) and _outlives(part.value, names):
            names.add(part.targets[0].id)
    return names


def _lends(nodes: Iterable[ast.AST], cursors: set[str], name: str) -> bool:
    """Whether a cursor is returned or yielded; the connection itself may be yielded."""
    values = [part.value for part in nodes if isinstance(part, ast.Return | ast.Yield) and part.value]
    return any(_outlives(value, cursors) and not _is(value, name) for value in values)


def _outlives(value: ast.expr, names: set[str]) -> bool:
    """Whether a value still needs one of the named connections or cursors: itself, a cursor of it, or something lazy around it."""
    match value:
        case ast.Name(id=name):
            return name in names
        case ast.Call(func=ast.Attribute(attr=method, value=receiver)) if method in _LAZY:
            return _outlives(receiver, names)
        case ast.Call():
            lazy = called_name(value) in _LATER or called_name(value)[:1].isupper()
            return lazy and any(_outlives(one, names) for one in _arguments(value))
        case ast.GeneratorExp(generators=generators):
            return any(_outlives(one.iter, names) for one in generators)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.BoolOp(values=parts):
            return any(_outlives(one, names) for one in parts)
        case ast.Await(value=inner) | ast.IfExp(body=inner):
            return _outlives(inner, names)
        case _:
            return False
