"""The classes of a project and their members: a collector and the index over what it collected."""

from __future__ import annotations

import ast
import builtins
import enum
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fixbot.detectors.project import Project, folders_above, join
from fixbot.detectors.source import SourceFile, dotted
from fixbot.detectors.standard import STANDARD
from fixbot.detectors.walk import descendants, walk

_HARMLESS = frozenset({"dataclass", "final", "unique", "total_ordering", "runtime_checkable", "verify"})  # decorators that add no names
_METACLASSES = frozenset({"ABCMeta", "EnumMeta", "EnumType"})
_ENUMS = ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum")
_KNOWN = {
    **{name: frozenset({*dir(value), "mro"}) for name, value in vars(builtins).items() if isinstance(value, type)},
    **{name: frozenset({"register", "mro"}) for name in ("typing.Generic", "typing.Protocol", "typing_extensions.Protocol", "abc.ABC")},
    **{f"enum.{name}": frozenset({*dir(getattr(enum, name, enum.Enum)), "name", "value", "mro"}) for name in _ENUMS},
    "typing.NamedTuple": frozenset({*dir(tuple), "_make", "_asdict", "_fields", "_field_defaults", "_replace", "mro"}),
}
STYLES: dict[str, Callable[[str], str]] = {
    "same": str,
    "lower": str.lower,
    "kebab": lambda name: name.lower().replace("_", "-"),
    "spaced": lambda name: name.lower().replace("_", " "),
}
_FUNCTIONS = frozenset([ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef])
_BINDING = frozenset([ast.Attribute, ast.Name, ast.arg, ast.Import, ast.ImportFrom]) | _FUNCTIONS
_PAIR = re.compile(  # Name.x, with what sets it; begins with a plain set of bytes, for which `re` scans fast
    rb"[A-Z](?<![A-Za-z0-9][A-Z])\w*\.([A-Za-z_]\w*)([ \t]*[-+*/|&^%@<>:]*=(?!=))?"
)
_BEFORE = re.compile(rb"((?:[A-Za-z_]\w*\.)*)(_*)\Z")
_CHAIN = 200  # bytes before a name in which the rest of its chain is looked for
_CHANGERS = (b"setattr(", b"detattr(", b"mapper(", b"map_imperatively(", b"instrument", b"add_metaclass(", b"classImplements(")
_CHANGES = re.compile(rb"\b(?:[sd]etattr|\w*mapper|map_imperatively|instrument\w*|add_metaclass|classImplements)\(\s*([\w.]+)")


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
    if any(word in data for word in _CHANGERS):
        found["changed"] = sorted({name.rpartition(b".")[2].decode() for name in _CHANGES.findall(data)})
    return {name: value for name, value in found.items() if value}


def _pairs(data: bytes) -> Iterator[tuple[str, tuple[str, str], bool]]:
    """Each ``Name.x`` in a text: the chain before it (``models.`` or ``.`` after something else), name and attribute, whether it is set."""
    place = 0
    while match := _PAIR.search(data, place):
        start, place = match.start(), match.end()
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
    return source.qualified(node) or (name if name in _KNOWN else None)


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements bind where they stand, those in nested blocks too; ``*`` for a star import."""
    for node in body:
        targets: list[ast.expr] = []
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
                continue
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
            case ast.Expr(value=ast.NamedExpr(target=target)):
                targets = [target]
            case ast.Expr() | ast.Pass() | ast.Return() | ast.Raise() | ast.Assert() | ast.Delete():
                continue
            case _:
                pass
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id
            else:
                yield from (one.id for one in descendants(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
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
    for one in node.body:
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


def uses(source: SourceFile) -> Iterator[tuple[str, ast.Attribute]]:
    """Each ``Class.attribute`` that is read, of a class that may be the project's and whose name the file binds once, with its origin."""
    classes = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}
    outside = {name for name, origin in source.imports.items() if origin.partition(".")[0] not in STANDARD}
    candidates = {*classes, *outside}
    bound: Counter[str] = Counter()
    chains: list[tuple[str, ast.Attribute]] = []
    for node in walk(source.tree, _BINDING):
        if isinstance(node, ast.Name):
            if node.id in candidates and not isinstance(node.ctx, ast.Load):
                bound[node.id] += 1
        elif isinstance(node, ast.Attribute):
            name = dotted(node.value)
            if name and name.rpartition(".")[2].lstrip("_")[:1].isupper() and name.partition(".")[0] in candidates:
                chains.append((name, node))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update({alias.asname or alias.name.partition(".")[0] for alias in node.names})
        elif isinstance(node, ast.arg):
            bound[node.arg] += 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound[node.name] += 1
    for name, node in chains:
        origin = _origin(node.value, source, classes)
        private = node.attr[0] == node.attr[-1] == "_"
        if origin and bound[name.partition(".")[0]] == 1 and not private and isinstance(node.ctx, ast.Load):
            yield origin, node


def _last(entry: Mapping[str, Any], name: str) -> str:
    """The name that a class has where it is defined, for the name that a file knows it by."""
    return entry.get("imports", {}).get(name, name).rpartition(".")[2]


# What the project says


class Members:
    """The classes of the project and their members."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.facts: Mapping[str, Mapping[str, Any]] = project.collected(members)
        self._files = frozenset(project.files)
        self._stores: dict[str, frozenset[str]] = {}
        self._members: dict[tuple[str, str], frozenset[str] | None] = {}
        self._extra: defaultdict[str, set[str]] = defaultdict(set)
        self._changed: set[str] = set()
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for path, entry in self.facts.items():
            for name, attribute in entry.get("set", ()):
                self._extra[_last(entry, name)].add(attribute)
            self._changed.update(_last(entry, name) for name in entry.get("changed", ()))
            for name in entry.get("classes", ()):
                self._by_name[name].append(path)

    def suspects(self) -> Iterator[str]:
        """The files whose text holds ``Name.x`` where the class of that name has no ``x``: those worth a closer look."""
        for path, entry in self.facts.items():
            for name, attribute, origin in entry.get("pairs", ()):
                if self._may_lack(_last(entry, name), attribute) and (not origin or self._is_without(path, origin, attribute)):
                    yield path
                    break

    def _is_without(self, path: str, origin: str, attribute: str) -> bool:
        """Whether a class of the project is known in full and has no such member."""
        found = self.find(path, origin)
        known = self.members(*found) if found else None
        return known is not None and attribute not in known

    def _may_lack(self, name: str, attribute: str) -> bool:
        for file in self._by_name.get(name, ()):
            known = self.members(file, name)
            if known is not None and attribute not in known and not attribute[0] == attribute[-1] == "_":
                return True
        return False

    def lacks(self, path: str, origin: str, name: str) -> bool:
        """Whether a class is of the project, known in full, and has no such member, and its files set none of that name."""
        found = self.find(path, origin)
        if found is None or not self._is_without(path, origin, name):
            return False
        return not any(name in stored or "*" in stored for stored in map(self._stored, self._files_of(*found)))

    def _files_of(self, file: str, name: str) -> set[str]:
        """The files of a class and of its bases."""
        homes = [self.find(file, base) for base in self.facts[file]["classes"][name]["bases"] if base not in _KNOWN]
        return {file}.union(*(self._files_of(*home) for home in homes if home))

    def _stored(self, file: str) -> frozenset[str]:
        """The attributes that are set on anything in a file; ``*`` where names may be made up."""
        if file not in self._stores:
            source = self.project.source(file)
            made = any(mark in source.data for mark in (b"locals()[", b"vars()[", b"exec(", b".__dict__"))
            attributes = (node for node in walk(source.tree, {ast.Attribute}) if isinstance(node, ast.Attribute))
            stored = (node.attr for node in attributes if not isinstance(node.ctx, ast.Load))
            self._stores[file] = frozenset({*stored, *(("*",) if made else ())})
        return self._stores[file]

    def find(self, path: str, origin: str, depth: int = 5) -> tuple[str, str] | None:
        """The file and name of the class that an origin means as seen from a file."""
        if origin.startswith(":"):
            return (path, origin[1:]) if origin[1:] in self.facts.get(path, {}).get("classes", ()) else None
        level = len(origin) - len(origin.lstrip("."))
        module, _, name = origin[level:].rpartition(".")
        if not (module or level) or (not level and self._is_ambiguous(module, path)):
            return None
        file = self.project.resolve(module, path, level)
        entry = self.facts.get(file or "", {})
        if file is None or name in entry.get("classes", ()):
            return (file, name) if file else None
        further = entry.get("imports", {}).get(name)
        return self.find(file, further, depth - 1) if further and depth else None

    def _is_ambiguous(self, module: str, path: str) -> bool:
        """Whether several import roots have the module and none of them is a folder above the importing file."""
        stem = module.replace(".", "/")
        ends = (f"{stem}.py", f"{stem}/__init__.py")
        roots = [root for root in self.project.import_roots if any(join(root, end) in self._files for end in ends)]
        return len(roots) > 1 and not set(roots) & set(folders_above(path))

    def members(self, file: str, name: str) -> frozenset[str] | None:
        """The members of a class with those of its bases; None when not all can be known."""
        key = (file, name)
        if key not in self._members:
            self._members[key] = None  # a class that is its own base
            self._members[key] = self._collect(file, name)
        return self._members[key]

    def _collect(self, file: str, name: str) -> frozenset[str] | None:
        one = self.facts[file]["classes"][name]
        if one["open"] or name in self._changed:
            return None
        known = {*one["members"], *self._extra.get(name, ()), *_KNOWN["object"], "register"}
        for base in one["bases"]:
            found = None if base in _KNOWN else self.find(file, base)
            inherited = _KNOWN.get(base) or (self.members(*found) if found else None)
            if inherited is None:
                return None
            known |= inherited
        return frozenset(known)
