"""A name is used that is bound nowhere."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fixbot.detectors.facts import definitions
from fixbot.detectors.finding import CODEMOD, MODEL, Related, Severity, Span
from fixbot.detectors.knowledge import exported_by
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import Report, Ruff, report, rule
from fixbot.detectors.source import SkippedFile, SourceFile

_PYTHON_2 = frozenset({"basestring", "cmp", "execfile", "file", "long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange"})
_WORD = re.compile(rb"[A-Za-z_]\w*")


def uses(source: SourceFile) -> list[dict[str, Any]]:
    """The undefined names that ruff sees and that are looked up: name, span, scope, and whether each use is ``name.attribute``."""
    found: list[dict[str, Any]] = []
    for diagnostic in source.diagnostics:
        place = diagnostic.span
        node = source.node_at(place.line, place.column, ast.Name) if diagnostic.code == "F821" else None
        if node is not None and _is_looked_up(node, source):
            found.append(
                {
                    "name": node.id,
                    "span": [place.line, place.column, place.end_line, place.end_column],
                    "scope": source.scope(node),
                    "dotted": isinstance(source.parent(node), ast.Attribute),
                }
            )
    return found


def _is_looked_up(node: ast.Name, source: SourceFile) -> bool:
    """False for annotations that nobody evaluates, for names of Python 2 behind a condition, for data files of tests that are executed."""
    if is_test(source.path) and not is_test(source.path.rpartition("/")[2]) and not source.scope(node):
        return False
    if node.id in _PYTHON_2 and source.enclosing(node, ast.If, ast.IfExp, ast.Try) is not None:
        return False
    return not ("annotations" in source.imports and source.imports["annotations"].startswith("__future__") and _in_annotation(node, source))


def _in_annotation(node: ast.Name, source: SourceFile) -> bool:
    inner: ast.AST = node
    for outer in source.ancestors(node):
        if isinstance(outer, ast.arg | ast.AnnAssign) and inner is outer.annotation:
            return True
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            return inner is outer.returns
        inner = outer
    return False


@rule(Ruff(("F821",)), severity=Severity.CRITICAL, fix=CODEMOD, collects=uses)
def check(project: Project) -> Iterator[Report]:
    """One finding a use; the import that would bind the name is looked for in the standard library, the file's imports, the project."""
    collected = project.collected(uses)
    homes = _homes(project, {entry["name"] for entries in collected.values() for entry in entries})
    for path, entries in collected.items():
        source = project.source(path)
        for entry in entries:
            name: str = entry["name"]
            origin = _origin(project, source, entry, homes.get(name, []))
            related = [Related(origin["path"], 1, f"defines `{name}`")] if origin and "path" in origin else []
            yield report(
                Span(*entry["span"]),
                f"`{name}` is not defined: the line raises NameError when it runs"
                + (f"; `{_statement(origin)}` is missing" if origin else ""),
                key=name,
                path=path,
                scope=entry["scope"],
                related=related,
                fix=CODEMOD if origin else MODEL,
                **({"module": origin["module"], "name": origin["name"]} if origin else {}),
            )


def _statement(origin: Mapping[str, Any]) -> str:
    return f"from {origin['module']} import {origin['name']}" if origin["name"] else f"import {origin['module']}"


@dataclass(frozen=True, slots=True)
class _Home:
    """A file that holds a name: what it imports under it, and whether it defines it itself."""

    path: str
    imported: str | None
    own: bool


def _origin(project: Project, source: SourceFile, entry: Mapping[str, Any], known: Sequence[_Home]) -> dict[str, Any] | None:
    """What to import: ``{"module", "name"}``, and ``path`` where it is of this project; None when nothing or more than one thing fits."""
    name: str = entry["name"]
    if entry["dotted"] and name in sys.stdlib_module_names and not project.holds(name, source.path):
        return {"module": name, "name": None}
    imported = _modules(source)
    candidates = {module for module in imported if name in exported_by(module)}
    candidates |= {module for other in known for module in imported if f"{module}.{name}" == other.imported}
    if len(candidates) == 1:
        return {"module": candidates.pop(), "name": name}
    homes = [other.path for other in known if other.own and not is_test(other.path)]
    if candidates or len(homes) != 1 or homes[0] == source.path:
        return None
    module = project.module_name(homes[0])
    if not module or project.resolve(module, source.path) != homes[0]:
        return None
    return {"module": module, "name": name, "path": homes[0]}


def _modules(source: SourceFile) -> set[str]:
    """The modules that a file imports names from."""
    nodes = (node for node in source.import_statements if isinstance(node, ast.ImportFrom))
    return {node.module for node in nodes if node.module and not node.level}


def _homes(project: Project, names: Collection[str]) -> dict[str, list[_Home]]:
    """The files that import or define each name. Every file is read once, and parsed only where one of the names occurs."""
    homes: defaultdict[str, list[_Home]] = defaultdict(list)
    for path in project.files if names else ():
        with suppress(OSError, SkippedFile):
            source = project.source(path)
            here = {word.decode() for word in set(_WORD.findall(source.data))} & set(names)
            own = set(definitions(source).get("own", ())) if here else set[str]()
            for name in sorted(here):
                home = _Home(path, source.imports.get(name), name in own)
                if home.imported or home.own:
                    homes[name].append(home)
    return homes
