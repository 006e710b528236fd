"""Database queries in the source: which may find no row, and of which tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fixbot.detectors.source import Function, SourceFile, dotted
from fixbot.detectors.walk import descendants

ROWS = frozenset({"fetchall", "all", "fetch_all"})
ROW = frozenset({"fetchone", "first", "one_or_none", "scalar_one_or_none", "fetchrow", "fetch_one"})
_BY_TEXT = frozenset({"fetchone", "fetchall", "fetchrow", "fetch_one", "fetch_all"})
_NO_SELECT = frozenset({"insert", "update", "upsert", "delete", "rpc", "single", "maybe_single", "csv", "explain", "returning", "values"})
_EXECUTES = frozenset({b"execute", b"exec", b"scalars"})
_FILTERS = frozenset({"filter", "filter_by", "where", "exclude"})
_AGGREGATE = re.compile(
    r"\b(?:count|max|min|sum|avg|exists|total|coalesce|every|bool_and|bool_or|\w+_agg|group_concat|version|current_\w+|now|nextval|currval|"
    r"last_insert\w*|txid\w*)\s*\(|\b(?:pg_\w+|returning|pragma|sqlite_master|sqlite_schema|pg_catalog|information_schema)\b",
    re.IGNORECASE,
)
_SELECT = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(?:select|with)\b(?P<columns>.*?)\bfrom\s+(?P<table>[\w.\"`]+).*\bwhere\b", re.IGNORECASE | re.DOTALL
)
_AGGREGATE_CALLS = frozenset({"count", "max", "min", "sum", "avg", "exists", "Count", "Max", "Min", "Sum", "Avg", "aggregate", "literal"})
_ASSIGNS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may find nothing. ``result`` is ``data`` (rows in its attribute ``data``), ``rows`` or ``row`` (None without one)."""

    result: str
    tables: frozenset[str]


def _chain(node: ast.expr, function: Function | None = None) -> Iterator[ast.Call | ast.Attribute | ast.Name]:
    """What a fluent expression is made of, from its last call to the name that it begins with.

    With the function, a name that is once assigned the result of ``execute`` is followed.
    """
    while True:
        match node:
            case ast.Call(func=inner) | ast.Await(value=inner) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
                if isinstance(node, ast.Call | ast.Attribute):
                    yield node
                node = inner
            case ast.Name():
                value = _value(node, function) if function else None
                call = value.value if isinstance(value, ast.Await) else value
                if not isinstance(call, ast.Call) or called(call) not in ("execute", "exec", "scalars") or not call.args:
                    yield node
                    return
                node, function = call, None
            case _:
                return


def may_be_query(call: ast.Call, source: SourceFile) -> bool:
    """A cheap look, without the function around: whether ``find_query`` may find a query in a call of one of ``ROWS`` or ``ROW``."""
    if called(call) in _BY_TEXT or called(call) == "execute" or not source.words.isdisjoint(_EXECUTES):
        return True
    return any(isinstance(part, ast.Attribute) and part.attr in _FILTERS for part in _chain(call))


def find_query(call: ast.Call, function: Function, source: SourceFile) -> Query | None:
    """The query that a call like ``.execute()``, ``.fetchone()``, ``.all()`` or ``.first()`` sends, when it may find nothing.

    None for aggregates, writes, queries without a condition, and everything that cannot be read off the function.
    """
    method = called(call)
    parts = list(_chain(call, function))
    attributes = {part.attr for part in parts if isinstance(part, ast.Attribute)}
    if method == "execute":
        if not {"table", "from_"} & attributes or "select" not in attributes or attributes & _NO_SELECT:
            return None
        texts = [
            text.value for part in parts for text in descendants(part) if isinstance(text, ast.Constant) and isinstance(text.value, str)
        ]
        tables = [part.args[0] for part in parts if isinstance(part, ast.Call) and called(part) in ("table", "from_") and part.args]
        if any(_AGGREGATE.search(text) for text in texts) or not tables:
            return None
        return Query("data", frozenset(one.value for one in tables if isinstance(one, ast.Constant) and isinstance(one.value, str)))
    result = "rows" if method in ROWS else "row"
    statement = _statement(call, parts, function, source) if method in _BY_TEXT or attributes & {"execute", "exec", "scalars"} else call
    text = statement and _text(statement, function, source)
    if text is not None:
        found = _SELECT.match(text)
        if not found or _AGGREGATE.search(text) or "{}" in found["columns"]:
            return None
        return Query(result, frozenset({found["table"].strip('"`')}))
    if statement is None or (method in _BY_TEXT and not attributes & {"execute", "exec"}) or call.args:
        return None
    return _orm_query(statement, result, function)


def _statement(call: ast.Call, parts: list[ast.Call | ast.Attribute | ast.Name], function: Function, source: SourceFile) -> ast.expr | None:
    """What is executed: the argument of ``execute`` in the same expression, or of the last one before on the same object."""
    for part in parts:
        if (
            isinstance(part, ast.Call)
            and called(part) in ("execute", "exec", "scalars", "fetchrow", "fetch_one", "fetch_all")
            and part.args
        ):
            return part.args[0]
    assert isinstance(call.func, ast.Attribute)
    owner = ast.dump(call.func.value)
    before = [
        node
        for node in descendants(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "callproc")
        and _place(node) < (call.end_lineno or 0, call.end_col_offset or 0)
        and ast.dump(node.func.value) == owner
    ]
    last = max(before, key=_place, default=None)
    if last is None or not last.args or next(_blocks(last, source), None) not in list(_blocks(call, source)):
        return None
    return last.args[0]


def _place(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset


def _blocks(node: ast.AST, source: SourceFile) -> Iterator[ast.AST]:
    """The compound statements around a node, innermost first."""
    return (one for one in source.ancestors(node) if hasattr(one, "body") and isinstance(one, ast.stmt | ast.ExceptHandler | ast.Module))


def called(call: ast.Call) -> str:
    """The last name of what is called: ``all`` for ``query.all()``; empty where it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _text(node: ast.expr, function: Function, source: SourceFile) -> str | None:
    """The SQL text of an expression, ``{}`` for what is put into it; None when it is no text or not known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(value.value) if isinstance(value, ast.Constant) else "{}" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _text(left, function, source), _text(right, function, source)
            return None if first is None or second is None else first + second
        case ast.Call(args=[inner, *_]) if called(node) in ("text", "SQL"):
            return _text(inner, function, source)
        case ast.Name():
            value = _value(node, function, source.tree)
            return None if value is None or isinstance(value, ast.Name) else _text(value, function, source)
        case _:
            return None


def _value(name: ast.Name, *scopes: ast.AST) -> ast.expr | None:
    """The only value that a name gets in the first scope that assigns it."""
    for scope in scopes:
        nodes = scope.body if isinstance(scope, ast.Module) else descendants(scope)
        stores = [
            (node.targets if isinstance(node, ast.Assign) else [node.target], node.value) for node in nodes if isinstance(node, _ASSIGNS)
        ]
        values = [value for targets, value in stores if any(dotted(target) == name.id for target in targets)]
        if values:
            return values[0] if len(values) == 1 else None
    return None


def _orm_query(statement: ast.expr, result: str, function: Function) -> Query | None:
    """A query built of Python objects: it must have a condition and no aggregate."""
    if isinstance(statement, ast.Name):
        value = _value(statement, function)
        if value is None:
            return None
        statement = value
    if not any(isinstance(part, ast.Attribute) and part.attr in _FILTERS for part in _chain(statement)):
        return None
    for node in descendants(statement):
        if isinstance(node, ast.Call) and called(node) in _AGGREGATE_CALLS:
            return None
        if isinstance(node, ast.Attribute | ast.Name) and (node.attr if isinstance(node, ast.Attribute) else node.id) == "func":
            return None
    models = {node.id for node in descendants(statement) if isinstance(node, ast.Name) and node.id[:1].isupper() and not node.id.isupper()}
    return Query(result, frozenset(models)) if models else None


def touched_before(call: ast.Call, query: Query, function: Function, source: SourceFile) -> bool:
    """Whether the function has named the table before: it may have written the row or looked for it."""
    start = (call.lineno, call.col_offset)
    words = [re.compile(rf"\b{re.escape(table)}\b", re.IGNORECASE) for table in query.tables]
    own = set(_own_nodes(_statement(call, list(_chain(call, function)), function, source) or call, function))
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        for node in descendants(statement):
            if isinstance(node, ast.Name | ast.Constant) and (node.lineno, node.col_offset) < start and node not in own:
                if isinstance(node, ast.Name) and node.id in query.tables and not isinstance(source.parent(node), ast.AnnAssign):
                    return True
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(word.search(node.value) for word in words):
                    return True
    return False


def _own_nodes(query: ast.expr, function: Function) -> Iterator[ast.AST]:
    """The nodes of a query, with those of the local values that it is made of."""
    for node in descendants(query):
        yield node
        value = _value(node, function) if isinstance(node, ast.Name) else None
        if value is not None:
            yield from descendants(value)


def id_filter(call: ast.Call, source: SourceFile) -> list[str]:
    """Column and value, as written, of ``.eq("id", value)`` where the column is an id: ``["id", "user_id"]``; else empty."""
    found: list[list[str]] = []
    for part in _chain(call):
        if isinstance(part, ast.Call) and called(part) == "eq" and len(part.args) == 2:
            column, value = part.args
            plain = not any(isinstance(node, ast.Call | ast.Await) for node in descendants(value))
            if plain and isinstance(column, ast.Constant) and re.fullmatch(r"(?:\w+_)?id", str(column.value)):
                found.append([str(column.value), source.segment(source.span(value))])
    return min(found, key=lambda pair: pair[0] != "id") if found else []
