"""What makes a time aware, and what becomes of the naive ones, as far as one function shows it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.knowledge import table
from fixbot.detectors.source import Function, SourceFile, dotted
from fixbot.detectors.walk import descendants

UTC_CALLS = frozenset({"datetime.datetime.utcnow", "datetime.datetime.utcfromtimestamp"})
LOCAL_CALLS = frozenset({"datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.fromtimestamp"})
_DURATION = re.compile(
    r"delta|duration|interval|window|timeout|ttl|_age$|^age$|max_?age|period|retention|lifetime|expir|days|hours|minutes|seconds|weeks|grace|delay|lag|"
    r"offset|leeway|margin|limit|validity",
    re.IGNORECASE,
)
Use = tuple[str, str]  # what happens to a value, and the code that does it


# What makes a time aware


def makes_aware(call: ast.Call, source: SourceFile) -> bool:
    """Whether a call surely gives an aware time."""
    if isinstance(call.func, ast.Attribute):
        zones = [keyword.value for keyword in call.keywords if keyword.arg in ("tz", "tzinfo")]
        if call.func.attr == "astimezone":
            return True
        if call.func.attr == "replace":
            return any(_is_zone(zone) for zone in zones)
        if call.func.attr == "localize":
            return "pytz" in (dotted(call.func.value) or "") or "pytz" in source.imports
        name = source.qualified(call.func)
        if name == "datetime.datetime.now":
            return any(_is_zone(zone) for zone in (*call.args, *zones))
        if name == "datetime.datetime.fromtimestamp":
            return any(_is_zone(zone) for zone in (*call.args[1:], *zones))
        if name == "django.utils.timezone.now":
            return True
    return source.qualified(call.func) == "datetime.datetime" and any(_is_zone(k.value) for k in call.keywords if k.arg == "tzinfo")


def _is_zone(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return True
    name = (dotted(node) or "").rpartition(".")[2]
    return "utc" in name.lower() or (len(name) > 1 and name.isupper())


def loses_zone(call: ast.Call, source: SourceFile) -> bool:
    """Whether an aware time becomes a number, a formatted text or naive again in the same expression."""
    method = source.parent(call)
    if not isinstance(method, ast.Attribute):
        return False
    outer = source.parent(method)
    if method.attr == "replace" and isinstance(outer, ast.Call) and any(k.arg == "tzinfo" for k in outer.keywords):
        return True
    return method.attr != "isoformat" and method.attr not in ("replace", "astimezone")


def _is_aware(node: ast.expr, source: SourceFile, function: Function | None) -> bool:
    match node:
        case ast.Call():
            return source.qualified(node.func) != "django.utils.timezone.now" and makes_aware(node, source)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return _is_duration(right, source) and _is_aware(left, source, function)
        case ast.Name() if function is not None:
            uses = (one for one in descendants(function) if isinstance(one, ast.Name) and one.id == node.id)
            values = [_assigned(one, source) for one in uses if isinstance(one.ctx, ast.Store)]
            arguments = {one.arg for one in descendants(function.args) if isinstance(one, ast.arg)}
            return (
                bool(values)
                and node.id not in arguments
                and all(value is not None and not isinstance(value, ast.Name) and _is_aware(value, source, function) for value in values)
            )
        case _:
            return False


def _assigned(target: ast.Name, source: SourceFile) -> ast.expr | None:
    match source.parent(target):
        case ast.Assign(targets=[_], value=value) | ast.NamedExpr(value=value):
            return value
        case ast.AnnAssign(value=value):
            return value
        case _:
            return None


def _is_duration(node: ast.expr, source: SourceFile) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_duration(node.left, source) or _is_duration(node.right, source)
    if isinstance(node, ast.Call):
        return (dotted(node.func) or "").rpartition(".")[2] in ("timedelta", "relativedelta")
    return bool(_DURATION.search((dotted(node) or "").rpartition(".")[2]))


# What becomes of a naive time


def uses_of(call: ast.Call, source: SourceFile) -> Iterator[Use]:
    """What becomes of the naive time that a call gives, one entry a use.

    ``epoch`` and ``mktime``: taken as local time by the named method; ``aware``: meets the aware time in the text, whose first
    character is ``=``, ``<`` or ``-`` for the kind of operator; ``text``: made into ISO text that goes on as it is; ``value``:
    returned, stored or passed on; ``format``: an aware time would give the same here; ``compared`` and ``subtracted``: meets
    something unknown; ``mixed``: shares its name with other values; ``known``: nothing that harms.
    """
    yield from _uses(call, source, source.function(call), 0)


def _uses(node: ast.expr, source: SourceFile, function: Function | None, depth: int) -> Iterator[Use]:
    """Every use of a value, followed through arithmetic, ``or``, conditional expressions and local names."""
    parent = source.parent(node)
    match parent:
        case ast.Attribute():
            yield from _method(node, parent, source, function, depth)
        case ast.BinOp() | ast.Compare():
            yield from _operator(node, parent, source, function, depth)
        case ast.BoolOp() | ast.NamedExpr() | ast.IfExp():
            branches = [parent.body, parent.orelse] if isinstance(parent, ast.IfExp) else []
            if node in branches and any(_is_aware(one, source, function) for one in branches):
                yield "known", ""
            elif not (isinstance(parent, ast.IfExp) and node is parent.test):
                yield from _uses(parent, source, function, depth)
        case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value) if function:
            yield from _named(name, value, source, function, depth)
        case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name()) | ast.FormattedValue() | ast.Expr():
            yield "known", ""
        case ast.Call() | ast.keyword():
            yield from _argument(node, parent, source)
        case ast.Dict():
            index = next((index for index, value in enumerate(parent.values) if value is node), None)
            key = None if index is None else parent.keys[index]
            yield ("known" if isinstance(key, ast.Constant) and key.value in _tokens() else "value"), ""
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=key))]) if key in _tokens():
            yield "known", ""
        case ast.Assign() | ast.AnnAssign() | ast.Return() | ast.Yield() | ast.List() | ast.Tuple():
            yield "value", ""
        case _:
            yield "known", ""


def _named(name: str, origin: ast.expr | None, source: SourceFile, function: Function, depth: int) -> Iterator[Use]:
    """The uses of a local name, when nothing but naive times made here is ever assigned to it."""
    loads: list[ast.Name] = []
    for one in descendants(function):
        if isinstance(one, ast.Name) and one.id == name:
            if isinstance(one.ctx, ast.Load):
                loads.append(one)
            else:
                value = _assigned(one, source)
                if value is not origin and not (value and _holds_naive(value, source)):
                    yield "mixed", ""
                    return
        elif isinstance(one, ast.Global | ast.Nonlocal) and name in one.names:
            yield "mixed", ""
            return
    for load in loads:
        if depth < 3:
            yield from _uses(load, source, function, depth + 1)


def _holds_naive(node: ast.expr, source: SourceFile) -> bool:
    return any(isinstance(part, ast.Call) and source.qualified(part.func) in UTC_CALLS | LOCAL_CALLS for part in descendants(node))


def _method(node: ast.expr, method: ast.Attribute, source: SourceFile, function: Function | None, depth: int) -> Iterator[Use]:
    call = source.parent(method)
    if not isinstance(call, ast.Call) or call.func is not method:
        yield "format", ""
        return
    match method.attr:
        case "timestamp" | "astimezone":
            yield ("known" if _in_difference(call, source) else "epoch"), f".{method.attr}()"
        case "replace":
            if any(keyword.arg == "tzinfo" for keyword in call.keywords):
                yield "known", ""
            else:
                yield from _uses(call, source, function, depth)
        case "timetuple":
            outer = source.parent(call)
            yield ("mktime" if isinstance(outer, ast.Call) and source.qualified(outer.func) == "time.mktime" else "known"), "mktime()"
        case "isoformat":
            yield ("text" if _is_final_text(call, source, function) else "known"), ".isoformat()"
        case _:
            yield "format", ""


def _in_difference(call: ast.Call, source: SourceFile) -> bool:
    """Whether a time stamp meets another one that may be off by as much: their difference is right."""
    parent = source.parent(call)
    if not isinstance(parent, ast.BinOp | ast.Compare):
        return False
    others = [parent.left, parent.right] if isinstance(parent, ast.BinOp) else [parent.left, *parent.comparators]
    for other in others:
        if other is not call and isinstance(other, ast.Call) and isinstance(other.func, ast.Attribute) and other.func.attr == "timestamp":
            return not _is_aware(other.func.value, source, source.function(call))
    return False


def _is_final_text(text: ast.expr, source: SourceFile, function: Function | None) -> bool:
    """Whether a text goes on as it is: nobody adds the zone, cuts it or puts it into another text."""
    match source.parent(text):
        case ast.Assign(targets=[ast.Name(id=name)]) if function is not None:
            uses = [one for one in descendants(function) if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load)]
            return (
                bool(uses)
                and not any(isinstance(source.parent(one), ast.Assign) for one in uses)
                and all(_is_final_text(one, source, function) for one in uses)
            )
        case ast.Call(func=func):
            return not is_display(func)
        case ast.Dict() | ast.keyword() | ast.Return() | ast.Assign() | ast.AnnAssign() | ast.List() | ast.Tuple() | ast.Yield():
            return True
        case _:
            return False


def _operator(node: ast.expr, parent: ast.BinOp | ast.Compare, source: SourceFile, function: Function | None, depth: int) -> Iterator[Use]:
    if isinstance(parent, ast.Compare):
        others = [one for one in (parent.left, *parent.comparators) if one is not node and not isinstance(one, ast.Constant)]
        if others and not isinstance(parent.ops[0], ast.Is | ast.IsNot | ast.In | ast.NotIn):
            aware = next((one for one in others if _is_aware(one, source, function)), None)
            equal = isinstance(parent.ops[0], ast.Eq | ast.NotEq)
            yield ("compared", "") if aware is None else ("aware", ("=" if equal else "<") + ast.unparse(aware)[:60])
        return
    other = parent.right if node is parent.left else parent.left
    if isinstance(parent.op, ast.Sub) and _is_aware(other, source, function):
        yield "aware", "-" + ast.unparse(other)[:60]
    elif isinstance(parent.op, ast.Add) or (isinstance(parent.op, ast.Sub) and node is parent.left and _is_duration(other, source)):
        yield from _uses(parent, source, function, depth)
    else:
        yield ("subtracted" if isinstance(parent.op, ast.Sub) else "known"), ""


def _argument(node: ast.expr, parent: ast.Call | ast.keyword, source: SourceFile) -> Iterator[Use]:
    call = source.parent(parent) if isinstance(parent, ast.keyword) else parent
    contract = isinstance(parent, ast.keyword) and parent.arg in _tokens()
    if not isinstance(call, ast.Call) or contract or is_display(call.func):
        yield "known", ""
        return
    name = call.func.attr if isinstance(call.func, ast.Attribute) else (dotted(call.func) or "")
    yield ("known" if name in table("naive_datetime")["takes_naive_utc"] else "value"), ""


def is_display(func: ast.expr) -> bool:
    """Whether a call only shows its arguments: print, logging, string formatting."""
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    return name in table("naive_datetime")["displays"]


def _tokens() -> list[str]:
    return table("naive_datetime")["token_claims"]
