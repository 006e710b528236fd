"""A time without zone (``utcnow`` and the like) is used where its zone matters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fixbot.detectors.finding import CODEMOD, MODEL, UNSAFE_CODEMOD, Fix, Related, Severity, Span
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import Function, SourceFile, dotted
from fixbot.detectors.walk import walk

_MARK = re.compile(rb"utcnow|utcfromtimestamp|astimezone\(|tzinfo=|localize\(|\.now\(|\.today\(|fromtimestamp\(|strptime|fromisoformat|DateTime|datetime\]")
_UTC = frozenset({"datetime.datetime.utcnow", "datetime.datetime.utcfromtimestamp"})
_LOCAL = frozenset({"datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.fromtimestamp"})
_PARSERS = frozenset({"fromisoformat", "strptime", "isoparse", "parse_datetime", "parse_date"})
_NAIVE_STORE = re.compile(
    rb"(?:Column|mapped_column)\([^()]*\b(?:DateTime|TIMESTAMP)\b(?:\(\))?\s*[,)]"
    rb"|Mapped\[[^=\n]*\bdatetime\b[^=\n]*\](?!.*timezone=True)"
    rb"|^\s*(?:from|import)\s+(?:sqlmodel|pymongo|motor|mongoengine|beanie|odmantic|peewee)\b(?![\s\S]*tz_aware=True)",
    re.MULTILINE,
)
_BOTH = re.compile(r"\.tzinfo\b|utcoffset|is_aware|is_naive|\bnaive|\btz_?aware|USE_TZ|use_tz", re.IGNORECASE)
_DURATION = re.compile(
    r"delta|duration|interval|window|timeout|ttl|_age$|^age$|max_?age|period|retention|lifetime|expir|days|hours|minutes|seconds|weeks|grace|delay|lag|"
    r"offset|leeway|margin|limit|validity",
    re.IGNORECASE,
)
_UNHARMED = frozenset({"epoch", "aware", "text", "format"})  # uses in which an aware value gives what was meant
_Use = tuple[str, str]  # what happens to a value, and the code that does it


def times(source: SourceFile) -> dict[str, Any]:
    """What a file does with times.

    ``sites`` are the calls that make naive times, with what becomes of each; ``aware`` is the first place that makes an aware one;
    ``parses`` and ``strict`` say that texts are read back (strict: in a format without zone), ``math`` that naive times are compared with
    unknown ones, ``store`` that a database column takes naive times.
    """
    if not _MARK.search(source.data):
        return {}
    found: dict[str, Any] = {}
    sites: list[dict[str, Any]] = []
    if _NAIVE_STORE.search(source.data):
        found["store"] = True
    for node in walk(source.tree, (ast.Call, ast.keyword)):
        if isinstance(node, ast.keyword):
            sites.extend(_factory(node, source))
            continue
        assert isinstance(node, ast.Call)
        name = source.qualified(node.func) or ""
        if name in _UTC or (name in _LOCAL and len(node.args) == name.endswith("fromtimestamp") and not node.keywords):
            uses = _outcome(node, source)
            if any(kind in ("compared", "subtracted") for kind, _ in uses):
                found["math"] = True
            sites.extend(_site(node, name, uses, source))
        elif makes_aware(node, source) and not _dropped(node, source):
            place = source.span(node)
            found["aware"] = min(found.get("aware", [place.line, ""]), [place.line, ast.unparse(node)[:60]])
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _PARSERS:
            found["parses"] = True
            if node.func.attr == "strptime" and _lacks_zone(node):
                found["strict"] = True
    if sites:
        found["sites"] = sites
    return found


def _lacks_zone(call: ast.Call) -> bool:
    form = call.args[-1] if call.args else None
    return isinstance(form, ast.Constant) and isinstance(form.value, str) and "%H" in form.value and "%z" not in form.value


def _site(call: ast.Call, name: str, uses: list[_Use], source: SourceFile) -> Iterator[dict[str, Any]]:
    kinds = {kind for kind, _ in uses}
    local = name in _LOCAL
    kind = next((kind for kind in ("mktime", "epoch", "aware", "value", "text") if kind in kinds and (not local or kind == "aware")), None)
    if kind is None:
        return
    function = source.function(call)
    if kind in ("aware", "value", "text") and _deliberate(call, function, source):
        return
    detail = next(code for one, code in uses if one == kind)
    safe = kinds <= ({"aware", "epoch"} if local else _UNHARMED)
    yield _entry(call, kind, source) | {"detail": detail, "safe": safe}


def _entry(node: ast.expr, kind: str, source: SourceFile) -> dict[str, Any]:
    place = source.span(node)
    span = [place.line, place.column, place.end_line, place.end_column]
    return {"span": span, "scope": source.scope(node), "code": ast.unparse(node)[:60], "kind": kind, "detail": "", "safe": False}


def _factory(keyword: ast.keyword, source: SourceFile) -> Iterator[dict[str, Any]]:
    """``default_factory=datetime.utcnow``, and ``default=datetime.utcnow`` of a column with time zone."""
    value = keyword.value
    if not isinstance(value, ast.Attribute) or value.attr != "utcnow" or source.qualified(value) not in _UTC:
        return
    call = source.parent(keyword)
    zoned = isinstance(call, ast.Call) and any(
        isinstance(node, ast.keyword) and node.arg == "timezone" and isinstance(node.value, ast.Constant) and node.value.value is True
        for node in ast.walk(call)
    )
    if zoned or keyword.arg == "default_factory":
        yield _entry(value, "column" if zoned else "factory", source)


def _deliberate(call: ast.Call, function: Function | None, source: SourceFile) -> bool:
    """Whether the code around says that it knows about naive times, or stands in for ``datetime`` itself."""
    if any(isinstance(one, ast.ClassDef) and any("datetime" in ast.unparse(base) for base in one.bases) for one in source.ancestors(call)):
        return True
    if function is None:
        return _BOTH.search(source.lines[call.lineno - 1]) is not None
    if "utc" in function.name.lower():
        return True
    return any(_BOTH.search(line) for line in source.lines[function.lineno - 1 : function.end_lineno])


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


def _dropped(call: ast.Call, source: SourceFile) -> bool:
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
            stores = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == node.id and isinstance(one.ctx, ast.Store)]
            values = [_assigned(one, source) for one in stores]
            arguments = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
            return bool(values) and node.id not in arguments and all(
                value is not None and not isinstance(value, ast.Name) and _is_aware(value, source, function) for value in values
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


def _outcome(call: ast.Call, source: SourceFile) -> list[_Use]:
    return list(_uses(call, source, source.function(call), 0))


def _uses(node: ast.expr, source: SourceFile, function: Function | None, depth: int) -> Iterator[_Use]:
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
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if function is not None:
            yield from _named(name, source, function, depth)
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


def _named(name: str, source: SourceFile, function: Function, depth: int) -> Iterator[_Use]:
    loads: list[ast.Name] = []
    for one in ast.walk(function):
        if isinstance(one, ast.Name) and one.id == name:
            if isinstance(one.ctx, ast.Load):
                loads.append(one)
            else:
                value = _assigned(one, source)
                if value is None or not any(isinstance(part, ast.Call) and source.qualified(part.func) in _UTC | _LOCAL for part in ast.walk(value)):
                    yield "mixed", ""
                    return
        elif isinstance(one, ast.Global | ast.Nonlocal) and name in one.names:
            yield "mixed", ""
            return
    for load in loads:
        if depth < 3:
            yield from _uses(load, source, function, depth + 1)


def _method(node: ast.expr, method: ast.Attribute, source: SourceFile, function: Function | None, depth: int) -> Iterator[_Use]:
    call = source.parent(method)
    if not isinstance(call, ast.Call) or call.func is not method:
        yield "format", ""
        return
    match method.attr:
        case "timestamp" | "astimezone":
            yield "epoch", f".{method.attr}()"
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


def _is_final_text(text: ast.expr, source: SourceFile, function: Function | None) -> bool:
    """Whether a text goes on as it is: nobody adds the zone, cuts it or puts it into another text."""
    match source.parent(text):
        case ast.Assign(targets=[ast.Name(id=name)]) if function is not None:
            uses = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load)]
            return bool(uses) and not any(isinstance(source.parent(one), ast.Assign) for one in uses) and all(
                _is_final_text(one, source, function) for one in uses
            )
        case ast.Call(func=func):
            return not is_display(func)
        case ast.Dict() | ast.keyword() | ast.Return() | ast.Assign() | ast.AnnAssign() | ast.List() | ast.Tuple() | ast.Yield():
            return True
        case _:
            return False


def _operator(
    node: ast.expr, parent: ast.BinOp | ast.Compare, source: SourceFile, function: Function | None, depth: int
) -> Iterator[_Use]:
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


def _argument(node: ast.expr, parent: ast.Call | ast.keyword, source: SourceFile) -> Iterator[_Use]:
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


# The findings


@rule(severity=Severity.HIGH, fix=CODEMOD, collects=times)
def check(project: Project) -> Iterator[Report]:
    """Values that are wrong wherever they are used, and naive values in a project that makes aware ones."""
    collected = project.collected(times)
    own = {path: entry for path, entry in collected.items() if not is_test(path)}
    aware = {path: entry["aware"] for path, entry in own.items() if "aware" in entry}
    store = any("store" in entry for entry in own.values())
    strict = any("strict" in entry for entry in own.values())
    read_back = strict or (any("parses" in entry for entry in own.values()) and any("math" in entry for entry in own.values()))
    for path, entry in collected.items():
        for site in entry.get("sites", ()):
            kind = site["kind"]
            if kind in ("value", "text", "factory") and (is_test(path) or not aware or (store and kind != "text")):
                continue
            witness = _nearest(path, aware) if kind in ("value", "text", "factory") else None
            yield report(
                Span(*site["span"]),
                _message(site, witness),
                key=site["code"],
                path=path,
                scope=site["scope"],
                related=[Related(witness[0], witness[1], f"an aware time: `{witness[2]}`")] if witness else [],
                fix=_fix(site, read_back),
                severity=Severity.HIGH if kind in ("mktime", "epoch", "aware") else Severity.MEDIUM,
            )


def _nearest(path: str, aware: Mapping[str, list[Any]]) -> tuple[str, int, str]:
    """The place that makes an aware time in the same file or else in the file with the longest common path."""
    best = max(sorted(aware), key=lambda other: len([1 for one, two in zip(path.split("/"), other.split("/"), strict=False) if one == two]))
    return best, aware[best][0], aware[best][1]


def _fix(site: Mapping[str, Any], read_back: bool) -> Fix:
    if site["kind"] == "mktime":
        return MODEL
    return CODEMOD if site["safe"] and not (site["kind"] == "text" and read_back) else UNSAFE_CODEMOD


def _message(site: Mapping[str, Any], witness: tuple[str, int, str] | None) -> str:
    code, detail = site["code"], site["detail"]
    elsewhere = f"{witness[0]}:{witness[1]}" if witness else ""
    match site["kind"]:
        case "epoch" | "mktime":
            return f"`{code}` has no time zone, so `{detail}` takes it as local time: wrong on every machine that is not set to UTC"
        case "aware" if detail[0] == "=":
            return f"`{code}` has no time zone and `{detail[1:]}` has one: the two are never equal"
        case "aware":
            action = "compared with" if detail[0] == "<" else "used in a subtraction with"
            return f"`{code}` has no time zone and is {action} `{detail[1:]}`, which has one: TypeError when the line runs"
        case "text":
            return f"`{code}.isoformat()` gives a text without zone, while other times have theirs ({elsewhere}): readers take it as local time"
        case "column":
            return f"`{code}` gives times without zone to a column that stores them with one"
        case _:
            return f"`{code}` has no time zone, while the project makes aware times elsewhere ({elsewhere}): the two cannot be compared"
