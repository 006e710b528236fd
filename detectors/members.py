"""What a file says about classes and their members: a collector, and the uses of members in one file."""

from __future__ import annotations

import ast
import builtins
import enum
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from fixbot.detectors.source import SourceFile, dotted
from fixbot.detectors.standard import STANDARD
from fixbot.detectors.walk import descendants, walk

_HARMLESS = frozenset({"dataclass", "final", "unique", "total_ordering", "runtime_checkable", "verify"})  # decorators that add no names
_METACLASSES = frozenset({"ABCMeta", "EnumMeta", "EnumType"})
_ENUMS = ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum")
KNOWN: Mapping[str, frozenset[str]] = {
    **{name: frozenset({*dir(value), "mro"}) for name, value in vars(builtins).items() if isinstance(value, type)},
    **{name: frozenset({"register", "mro"}) for name in ("typing.Generic", "typing.Protocol", "typing_extensions.Protocol", "abc.ABC")},
    **{f"enum.{name}": frozenset({*dir(getattr(enum, name, enum.Enum)), "name", "value", "mro"}) for name in _ENUMS},
    "typing.NamedTuple": frozenset({*dir(tuple), "_make", "_asdict", "_fields", "_field_defaults", "_replace", "mro"}),
}
"""Members of classes that are not the project's, by the name under which they are known."""
STYLES: dict[str, Callable[[str], str]] = {
    "same": str,
    "lower": str.lower,
    "kebab": lambda name: name.lower().replace("_", "-"),
    "spaced": lambda name: name.lower().replace("_", " "),
}
_FUNCTIONS = frozenset([ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef])
_BINDING = frozenset([ast.Name, ast.arg, ast.Import, ast.ImportFrom]) | _FUNCTIONS
_UNBINDING = frozenset([ast.Pass, ast.Return, ast.Raise, ast.Assert, ast.Delete])
_SIMPLE = frozenset([ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr])
_PAIR = re.compile(  # Name.x, with what sets it; begins with a plain set of bytes, for which `re` scans fast
    rb"[A-Z](?<![A-Za-z0-9][A-Z])\w*\.([A-Za-z_]\w*)([ \t]*[-+*/|&^%@<>:]*=(?!=))?"
)
_BEFORE = re.compile(rb"((?:[A-Za-z_]\w*\.)*)(_*)\Z")
_CHAIN = 200  # bytes before a name in which the rest of its chain is looked for
_CHANGES = {  # what a call that may add to a class holds -> how the class is found in it
    b"mapper(": re.compile(rb"mapper\(\s*([\w.]+)"),
    b"instrument": re.compile(rb"instrument(?<!\winstrument)\w*\(\s*([\w.]+)"),
}
_CHANGES_BY_WORD = {  # the same by the name that is called
    name: (name, re.compile(rb"%s(?<!\w%s)\(\s*([\w.]+)" % (name, name)))
    for name in (b"setattr", b"map_imperatively", b"add_metaclass", b"classImplements")
}


# What a file says


def members(source: SourceFile) -> dict[str, Any]:
    """The module's classes with their members, and what the text of the file may do with members of classes.

    ``classes`` name -> bases, members, open (more may be added), span, pattern; ``imports`` name -> origin at the top level; ``pairs``
    [name, attribute, origin of the name] as they stand in the text, ``set`` [name, attribute] that look like assignments; ``changed``
    names of classes that ``setattr`` and the like may add to. An origin is dotted as in ``SourceFile.imports``, or ``:Name`` for a class
    of the file itself; it is empty where the text does not show it.
    """
    data = source.data
    classes = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}
    found: dict[str, Any] = {"classes": {name: _class(node, source, classes) for name, node in classes.items()}}
    if classes:
        for name, times in Counter(_bound(source.tree.body)).items():
            if times > 1 and name in classes:
                found["classes"][name]["open"] = True
    found["imports"] = {
        alias.asname or alias.name: source.imports[alias.asname or alias.name]
        for node in source.tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name != "*"
    }
    pairs = set(_pairs(data))
    known = {(*one, origin) for chain, one, _ in pairs if (origin := _origin_in_text(chain, one[0], source, classes)) is not None}
    found["pairs"] = sorted(known)
    found["set"] = sorted({one for _, one, sets in pairs if sets})
    changes = (name for mark, pattern in _changes(source.words) if mark in data for name in pattern.findall(data))
    found["changed"] = sorted({name.rpartition(b".")[2].decode() for name in changes})
    return {name: value for name, value in found.items() if value}


def _changes(words: frozenset[bytes]) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
    yield from _CHANGES.items()
    yield from (_CHANGES_BY_WORD[word] for word in words.intersection(_CHANGES_BY_WORD))


def _pairs(data: bytes) -> Iterator[tuple[str, tuple[str, str], bool]]:
    """Each ``Name.x`` in a text: the chain before it (``models.`` or ``.`` after something else), name and attribute, whether it is set."""
    place = 0
    while match := _PAIR.search(data, place):
        start, place = match.start(), match.end()
        if data[start - 1 : start] not in (b".", b"_"):
            yield "", (data[start : match.start(1) - 1].decode(), match[1].decode()), match[2] is not None
            continue
        before = _BEFORE.search(data, max(start - _CHAIN, 0), start)
        assert before is not None  # it may be empty
        previous = data[before.start() - 1 : before.start()]
        if previous.isalnum() or previous == b"_":
            place = start + 1  # in the middle of a name
            continue
        name = before[2] + data[start : match.start(1) - 1]
        chain = b"." if previous == b"." else before[1]
        yield chain.decode(), (name.decode(), match[1].decode()), match[2] is not None


def _origin_in_text(chain: str, name: str, source: SourceFile, classes: Mapping[str, ast.ClassDef]) -> str | None:
    """The origin of a chain and name; empty where it is not known, None where it is surely no class of the project."""
    if chain == ".":
        return ""
    if not chain and name in classes:
        return f":{name}"
    root, _, rest = f"{chain}{name}".partition(".")
    origin = source.imports.get(root)
    if origin is None or origin.partition(".")[0] in STANDARD:
        return None
    return f"{origin}.{rest}" if rest else origin


def _class(node: ast.ClassDef, source: SourceFile, classes: Mapping[str, ast.ClassDef]) -> dict[str, Any]:
    bases = [_origin(base.value if isinstance(base, ast.Subscript) else base, source, classes) for base in node.bases]
    names = set(_bound(node.body))
    decorators = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
    metaclass = any((dotted(keyword.value) or "").rpartition(".")[2] not in _METACLASSES for keyword in node.keywords)
    is_open = (
        metaclass
        or None in bases
        or not {"__getattr__", "__init_subclass__", "__class_getitem__", "*"}.isdisjoint(names)
        or any((dotted(one) or "").rpartition(".")[2] not in _HARMLESS for one in decorators)
    )
    place = source.span(node)
    return {
        "bases": bases,
        "members": sorted(names),
        "open": is_open,
        "span": [place.line, place.column, place.end_line, place.end_column],
        "pattern": _pattern(node),
    }


def _origin(node: ast.expr, source: SourceFile, classes: Mapping[str, ast.ClassDef]) -> str | None:
    name = dotted(node)
    if name is None:
        return None
    if name in classes:
        return f":{name}"
    return source.qualified(node) or (name if name in KNOWN else None)


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements bind where they stand, those in nested blocks too; ``*`` for a star import."""
    for node in body:
        if node.__class__ in _UNBINDING:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        targets: list[ast.expr] = []
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                yield from (one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str))
            case ast.Assign():
                targets = node.targets
            case ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.AsyncFor():
                targets = [node.target]
            case ast.With() | ast.AsyncWith():
                targets = [item.optional_vars for item in node.items if item.optional_vars]
            case ast.Expr():
                targets = [node.value.target] if isinstance(node.value, ast.NamedExpr) else []
            case _:
                pass
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id
            else:
                yield from (one.id for one in descendants(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        if node.__class__ in _SIMPLE:
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from _bound(getattr(node, name, ()))
        for block in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _bound(block.body)


def _pattern(node: ast.ClassDef) -> dict[str, Any] | None:
    """How the constants of a class follow from their names, and whether the names are in upper case.

    ``values`` is ``auto`` or all fitting [style, prefix, suffix]. None when they do not follow, or are fewer than two.
    """
    pairs: list[tuple[str, ast.expr]] = []
    assigned = [one for one in node.body if one.__class__ in _SIMPLE and one.__class__ is not ast.Expr]
    for one in assigned if len(assigned) > 1 else ():
        match one:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if not name.startswith("_"):
                    pairs.append((name, value))
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                return None
            case _:
                pass
    if len(pairs) < 2:
        return None
    upper = all(name == name.upper() for name, _ in pairs)
    if all(isinstance(value, ast.Call) and dotted(value.func) in ("auto", "enum.auto") and not value.args for _, value in pairs):
        return {"values": "auto", "upper": upper}
    texts = [(name, value.value) for name, value in pairs if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    frames: list[list[str]] = []
    for style, change in STYLES.items():
        parts = {text.partition(change(name))[::2] if change(name) in text else ("",) for name, text in texts}
        if len(texts) == len(pairs) and len(parts) == 1 and len(part := parts.pop()) == 2:
            frames.append([style, *part])
    return {"values": frames, "upper": upper} if frames else None


def value_after(pattern: Mapping[str, Any], name: str) -> str | None:
    """The value that a further constant of a class would have by its ``pattern``: a text, ``auto``, or None where it is not certain."""
    if pattern["upper"] != (name == name.upper()):
        return None
    if pattern["values"] == "auto":
        return "auto"
    values = {before + STYLES[style](name) + after for style, before, after in pattern["values"]}
    return values.pop() if len(values) == 1 else None


def uses(source: SourceFile, attributes: Collection[str]) -> Iterator[tuple[str, ast.Attribute]]:
    """Each ``Class.attribute`` that is read, of some attributes and of a class that may be the project's, with the class's origin."""
    classes = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}
    for node in source.nodes_with([name.encode() for name in attributes], ast.Attribute):
        if node.attr not in attributes or node.attr[0] == node.attr[-1] == "_" or not isinstance(node.ctx, ast.Load):
            continue
        name = dotted(node.value)
        origin = _origin(node.value, source, classes) if name and name.rpartition(".")[2].lstrip("_")[:1].isupper() else None
        if origin and (origin.startswith(":") or origin.partition(".")[0] not in STANDARD):
            yield origin, node


def is_bound_once(name: str, source: SourceFile) -> bool:
    """Whether a file binds a name once, in whatever scope."""
    bound = 0
    for node in walk(source.tree, _BINDING):
        if isinstance(node, ast.Name):
            bound += node.id == name and not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound += sum(name == (alias.asname or alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.arg):
            bound += node.arg == name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound += node.name == name
    return bound == 1
