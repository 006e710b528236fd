"""The first row of a query result is used without a check that there is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.facts import handler_names
from fixbot.detectors.finding import CODEMOD, MODEL, Severity
from fixbot.detectors.project import is_test
from fixbot.detectors.queries import ROW, ROWS, Query, called, find_query, id_filter, may_be_query, touched_before
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import Function, SourceFile
from fixbot.detectors.walk import children, descendants

_HINTS = (b".execute()", b"fetchone(", b"fetchall(", b"one_or_none(", b".first()", b".all()", b"fetchrow(", b"fetch_one(", b"fetch_all(")
_CATCHES = frozenset({"IndexError", "LookupError", "AttributeError", "TypeError", "KeyError", "Exception", "BaseException"})
_SHOWN = frozenset({"len", "print", "debug", "info", "warning", "error", "exception", "critical", "log"})


@rule(ast.Call, hint=_HINTS, inside=True, severity=Severity.HIGH, fix=CODEMOD)
def check(call: ast.Call, source: SourceFile) -> Iterator[Report]:
    """Queries whose first row is taken, by the call itself or by the only name that it is assigned to."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if (method not in ROW and method not in ROWS and (method != "execute" or call.args)) or is_test(source.path):
        return
    if not may_be_query(call, source):
        return
    function = source.function(call)
    query = find_query(call, function, source) if function else None
    if not function or not query or touched_before(call, query, function, source):
        return
    access, name = _access(call, query, function, source)
    if access is None or _is_caught(access, source):
        return
    error = "IndexError" if query.result != "row" else "TypeError" if isinstance(access, ast.Subscript) else "AttributeError"
    table = next(iter(sorted(query.tables)), "")
    pair = id_filter(call, source)
    missing = f"no row of `{table}`" if table else "no row"
    yield report(
        access,
        f"`{_short(access)}` is taken without a check: where the query finds {missing}, it raises {error}",
        fix=CODEMOD if path_parameter(function, pair) or _may_be_guarded(access, name, function, source) else MODEL,
        name=name,
        row=query.result == "row",
        table=table if table.isidentifier() else "",
        filter=pair,
    )


def _short(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"...{text[-57:]}"


# The access


def _access(call: ast.Call, query: Query, function: Function, source: SourceFile) -> tuple[ast.Subscript | ast.Attribute | None, str]:
    """The first unguarded access to the first row, and the name of the result where it has one."""
    whole: ast.expr = call
    result = query.result
    if isinstance(parent := source.parent(whole), ast.Await):
        whole = parent
    if result == "data" and isinstance(parent := source.parent(whole), ast.Attribute) and parent.attr == "data":
        whole, result = parent, "rows"
    parent = source.parent(whole)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        name = parent.targets[0].id
        return _named_access(name, result, function, source), name
    return (parent if isinstance(parent, ast.Subscript | ast.Attribute) and _takes_first(whole, parent, result) else None), ""


def _takes_first(value: ast.expr, parent: ast.AST | None, result: str) -> bool:
    if isinstance(parent, ast.Attribute):
        return result == "row" and not parent.attr.startswith("__")
    if not isinstance(parent, ast.Subscript) or parent.value is not value or not isinstance(parent.ctx, ast.Load):
        return False
    return result == "row" or (result == "rows" and ast.unparse(parent.slice) in ("0", "-1"))


def _named_access(name: str, result: str, function: Function, source: SourceFile) -> ast.Subscript | ast.Attribute | None:
    accesses: list[ast.Subscript | ast.Attribute] = []
    stores = 0
    for node in descendants(function):
        if isinstance(node, ast.arg) and node.arg == name:
            return None
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        if not isinstance(node.ctx, ast.Load):
            stores += 1
            continue
        used: ast.expr = node
        parent = source.parent(node)
        if result == "data" and isinstance(parent, ast.Attribute):
            used, parent = parent, source.parent(parent)
        if isinstance(parent, ast.Subscript | ast.Attribute) and _takes_first(used, parent, "rows" if result == "data" else result):
            accesses.append(parent)
        elif _may_check(used, parent, source):
            return None
    return min(accesses, key=lambda one: (one.lineno, one.col_offset)) if accesses and stores == 1 else None


def _may_check(node: ast.expr, parent: ast.AST | None, source: SourceFile) -> bool:
    """Whether a use of a result may be a check of it, or hands it to code that may check it."""
    if isinstance(parent, ast.Call) and node in parent.args and called(parent) not in _SHOWN:
        return True
    if isinstance(
        parent, ast.Assign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.comprehension | ast.keyword | ast.Starred | ast.Subscript
    ):
        return True
    child: ast.AST = node
    for one in source.ancestors(node):
        if isinstance(one, ast.BoolOp | ast.Compare | ast.UnaryOp | ast.Assert | ast.comprehension):
            return True
        if isinstance(one, ast.If | ast.While | ast.IfExp) and child is one.test:
            return True
        if isinstance(one, ast.stmt):
            return isinstance(one, ast.Match) and child is one.subject
        child = one
    return False


def _is_caught(node: ast.expr, source: SourceFile) -> bool:
    child: ast.AST = node
    for one in source.ancestors(node):
        handlers = one.handlers if isinstance(one, ast.Try | ast.TryStar) and child in one.body else []
        if any(handler.type is None or not _CATCHES.isdisjoint(handler_names(handler)) for handler in handlers):
            return True
        if isinstance(one, ast.With | ast.AsyncWith) and any("suppress" in ast.unparse(item.context_expr) for item in one.items):
            return True
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        child = one
    return False


# The fix


def _may_be_guarded(access: ast.expr, name: str, function: Function, source: SourceFile) -> bool:
    """Whether the function's own shape says what it does without a row: it may return None, or returns nothing at all."""
    if function.returns is not None and may_be_none(function.returns):
        return True
    statement = source.enclosing(access, ast.stmt)
    return bool(name) and returns_nothing(function) and isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)


def path_parameter(function: Function, pair: list[str]) -> str:
    """The parameter of the route's path by whose value the row is looked for by id; empty where there is none."""
    if not pair or pair[0] != "id":
        return ""
    for decorator in function.decorator_list:
        for argument in decorator.args[:1] if isinstance(decorator, ast.Call) else ():
            if isinstance(argument, ast.Constant) and f"{{{pair[1]}}}" in str(argument.value):
                return pair[1]
    return ""


def may_be_none(annotation: ast.expr) -> bool:
    """Whether a return annotation has None beside something else."""
    text = annotation.value if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str) else ast.unparse(annotation)
    return bool(re.match(r"(?:typing\.)?Optional\[.*\]$|.+\|\s*None$|None\s*\|.+$", text))


def returns_nothing(function: Function) -> bool:
    """Whether a function returns no value on any path and is no generator."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom) or (isinstance(node, ast.Return) and node.value is not None):
            return False
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(children(node))
    return function.returns is None or (isinstance(function.returns, ast.Constant) and function.returns.value is None)
