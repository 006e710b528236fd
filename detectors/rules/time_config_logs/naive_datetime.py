"""A time without zone (``utcnow`` and the like) is used where its zone matters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fixbot.detectors.finding import CODEMOD, MODEL, UNSAFE_CODEMOD, Fix, Related, Severity, Span
from fixbot.detectors.handlers import called_name
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import Report, collector, report, rule
from fixbot.detectors.source import SourceFile
from fixbot.detectors.times import LOCAL_CALLS, UTC_CALLS, Use, loses_zone, makes_aware, uses_of
from fixbot.detectors.walk import descendants

_MARKS = (
    b"utcnow",
    b"utcfromtimestamp",
    b"astimezone(",
    b"tzinfo=",
    b"localize(",
    b".now(",
    b".today(",
    b"fromtimestamp(",
    b"strptime",
    b"fromisoformat",
)
_PARSERS = frozenset({"fromisoformat", "strptime", "isoparse", "parse_datetime", "parse_date"})
_NAMES = _PARSERS | {"utcnow", "utcfromtimestamp", "now", "today", "fromtimestamp", "astimezone", "replace", "localize"}
_NAIVE_STORE = re.compile(
    rb"(?:Column|mapped_column)\([^()]*\b(?:DateTime|TIMESTAMP)\b(?:\(\))?\s*[,)]"
    rb"|Mapped\[[^=\n]*\bdatetime\b[^=\n]*\](?!.*timezone=True)"
    rb"|^\s*(?:from|import)\s+(?:sqlmodel|pymongo|bson|motor|mongoengine|beanie|odmantic|peewee)\b(?![\s\S]*tz_aware=True)",
    re.MULTILINE,
)
_STORES = (
    b"Column(",
    b"mapped_column(",
    b"Mapped[",
    b"sqlmodel",
    b"pymongo",
    b"bson",
    b"motor",
    b"mongoengine",
    b"odmantic",
    b"peewee",
    b"beanie",
)
_BOTH = re.compile(r"\.tzinfo\b|utcoffset|is_aware|is_naive|\bnaive|\btz_?aware|USE_TZ|use_tz", re.IGNORECASE)
_UNHARMED = frozenset({"epoch", "aware", "text", "format"})  # uses in which an aware value gives what was meant


@collector(hint=_MARKS + _STORES)
def times(source: SourceFile) -> dict[str, Any]:
    """What a file does with times.

    ``sites`` are the calls that make naive times, with what becomes of each; ``aware`` is the first place that makes an aware one;
    ``parses`` and ``strict`` say that texts are read back (strict: in a format without zone), ``math`` that naive times are compared with
    unknown ones, ``store`` that a database column takes naive times.
    """
    found: dict[str, Any] = {}
    if any(word in source.data for word in _STORES) and _NAIVE_STORE.search(source.data):
        found["store"] = True
    if not any(mark in source.data for mark in _MARKS):
        return found
    sites: list[dict[str, Any]] = []
    names = _NAMES | {local for local, origin in source.imports.items() if origin.startswith("datetime.")}
    if b"utcnow" in source.data:
        sites.extend(entry for keyword in source.nodes(ast.keyword) for entry in _factory(keyword, source))
    for node in source.nodes_with([name.encode() for name in names], ast.Call):
        if called_name(node) not in names:
            continue
        name = source.qualified(node.func) or ""
        if name in UTC_CALLS or (name in LOCAL_CALLS and len(node.args) == name.endswith("fromtimestamp") and not node.keywords):
            uses = list(uses_of(node, source))
            if any(kind in ("compared", "subtracted") for kind, _ in uses):
                found["math"] = True
            sites.extend(_site(node, name, uses, source))
        elif makes_aware(node, source) and not loses_zone(node, source):
            here = [source.span(node).line, ast.unparse(node)[:60]]
            found["aware"] = min(found.get("aware", here), here)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _PARSERS:
            found["parses"] = True
            if _lacks_zone(node):
                found["strict"] = True
    if sites:
        found["sites"] = sites
    return found


def _lacks_zone(call: ast.Call) -> bool:
    form = call.args[-1].value if call.args and isinstance(call.args[-1], ast.Constant) else None
    return isinstance(form, str) and form.startswith("%Y-%m-%dT%H") and "%z" not in form


def _site(call: ast.Call, name: str, uses: list[Use], source: SourceFile) -> Iterator[dict[str, Any]]:
    kinds = {kind for kind, _ in uses}
    local = name in LOCAL_CALLS
    kind = next((kind for kind in ("mktime", "epoch", "aware", "value", "text") if kind in kinds and (not local or kind == "aware")), None)
    if kind is None:
        return
    if kind in ("aware", "value", "text") and _deliberate(call, kind, source):
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
    if not isinstance(value, ast.Attribute) or value.attr != "utcnow" or source.qualified(value) not in UTC_CALLS:
        return
    call = source.parent(keyword)
    zoned = isinstance(call, ast.Call) and any(
        isinstance(node, ast.keyword) and node.arg == "timezone" and isinstance(node.value, ast.Constant) and node.value.value is True
        for node in descendants(call)
    )
    if zoned or keyword.arg == "default_factory":
        yield _entry(value, "column" if zoned else "factory", source)


def _deliberate(call: ast.Call, kind: str, source: SourceFile) -> bool:
    """Whether the code around says that it knows about naive times, or stands in for ``datetime`` itself."""
    if any(isinstance(one, ast.ClassDef) and any("datetime" in ast.unparse(base) for base in one.bases) for one in source.ancestors(call)):
        return True
    function = source.function(call)
    if function is None:
        return _BOTH.search(source.lines[call.lineno - 1]) is not None
    if kind == "value" and "utc" in function.name.lower():
        return True
    return any(_BOTH.search(line) for line in source.lines[function.lineno - 1 : function.end_lineno])


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
            return f"`{code}.isoformat()` gives a text without zone, while others have theirs ({elsewhere}): readers take it as local time"
        case "column":
            return f"`{code}` gives times without zone to a column that stores them with one"
        case _:
            return f"`{code}` has no time zone, while the project makes aware times elsewhere ({elsewhere}): the two cannot be compared"
