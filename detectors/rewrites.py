"""How a use of an old home is rewritten: decided on the syntax tree by the detector, carried out by the codemod.

A rewriting is ``{"kind", "aliases", "uses"}``. ``kind``: ``from`` and ``module`` replace an import statement, ``attribute`` only a use.
``aliases`` are the new [name, local name or None], in the order of the old ones. ``uses`` are [span, code] for expressions; ``@`` in the
code is the local name of the new module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fixbot.detectors.source import SourceFile, dotted

Move = Mapping[str, Any]
Use = list[Any]


def place_of(node: ast.stmt | ast.expr, source: SourceFile) -> list[int]:
    """A node's span as a JSON list."""
    span = source.span(node)
    return [span.line, span.column, span.end_line, span.end_column]


def of_import(
    node: ast.Import | ast.ImportFrom, aliases: Sequence[ast.alias], move: Move, source: SourceFile, whole: bool
) -> dict[str, Any] | None:
    """How to rewrite an import statement and what follows from it; None where that is not certain."""
    if "to" not in move:
        return None
    if move["module"] == "pkg_resources":
        return _distributions(node, source)
    if not whole:
        return _from(aliases, move, source)
    if len(node.names) > 1 or move.get("shapes"):
        return None
    return _module(aliases[0], move, source, isinstance(node, ast.Import))


def _from(aliases: Sequence[ast.alias], move: Move, source: SourceFile) -> dict[str, Any] | None:
    new: list[list[str | None]] = []
    uses: list[Use] = []
    for alias in aliases:
        name = move["names"].get(alias.name)
        if name is None:
            return None
        local = alias.asname or alias.name
        keeps = alias.asname or name == alias.name
        uses_of_it = loads(source, local)
        if uses_of_it is None:
            return None
        if move.get("shapes"):
            calls = None if name != alias.name and _is_bound(source, name) else _calls(uses_of_it, move, source)
            if calls is None:
                return None
            uses += calls
        elif not keeps:
            if _is_bound(source, name) and source.imports.get(name) != f"{move['to']}.{name}":
                return None
            uses += [[place_of(load, source), name] for load in uses_of_it]
        new.append([name, alias.asname])
    return {"kind": "from", "aliases": new, "uses": uses}


def loads(source: SourceFile, name: str) -> list[ast.Name] | None:
    """The uses of an imported name; None when it is bound in another way, too, or exported by ``__all__``."""
    found: list[ast.Name] = []
    imported = 0
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == name:
            if not isinstance(node.ctx, ast.Load):
                return None
            found.append(node)
        elif isinstance(node, ast.alias):
            imported += (node.asname or node.name) == name
        elif (
            (isinstance(node, ast.arg) and node.arg == name)
            or (isinstance(node, ast.Constant) and node.value == name)
            or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name)
        ):
            return None
    return found if imported == 1 else None


def _is_bound(source: SourceFile, name: str) -> bool:
    return re.search(rf"\b{name}\b", source.text) is not None


def _calls(uses_of_it: Sequence[ast.expr], move: Move, source: SourceFile) -> list[Use] | None:
    """``LooseVersion(x)`` and ``escape(x)``: the calls rewritten; None where one of the uses is no plain call."""
    uses: list[Use] = []
    for load in uses_of_it:
        call = source.parent(load)
        if not isinstance(call, ast.Call) or call.func is not load or any(isinstance(one, ast.Starred) for one in call.args):
            return None
        given = len(call.args) + len(call.keywords)
        prefix = "@." if isinstance(load, ast.Attribute) else ""
        if move["module"] == "cgi":
            if given == 1 and call.args:
                uses.append([place_of(call, source), f"{prefix}escape({_code(call.args[0], source)}, quote=False)"])
            elif prefix:
                uses.append([place_of(load, source), "@.escape"])
        elif given != 1 or not call.args or not _is_compared(call, source):
            return None
        else:
            uses.append([place_of(load, source), f"{prefix}Version"])
    return uses


def _is_compared(call: ast.Call, source: SourceFile) -> bool:
    """Whether a version is compared at once with another one: a text, which distutils took too, would raise TypeError."""
    compared = source.parent(call)
    if not isinstance(compared, ast.Compare):
        return False
    return all(isinstance(one, ast.Call) and ast.dump(one.func) == ast.dump(call.func) for one in (compared.left, *compared.comparators))


def _code(node: ast.expr, source: SourceFile) -> str:
    return source.segment(source.span(node))


def _module(alias: ast.alias, move: Move, source: SourceFile, dotted_import: bool) -> dict[str, Any] | None:
    """``import old as x`` becomes ``import new as x``; ``import old`` becomes ``import new``, and ``old.name`` becomes ``new.name``."""
    old = move["module"]
    if dotted_import and alias.name != old:
        return None
    local = alias.asname or (old if dotted_import else alias.name)
    chains = [node for node in ast.walk(source.tree) if isinstance(node, ast.Name | ast.Attribute) and dotted(node) == local]
    names = [source.parent(node) for node in chains]
    kept = {old_name for old_name, new in move["names"].items() if old_name == new}
    plain = all(isinstance(one, ast.Attribute) and (one.attr in kept or not move["names"]) for one in names)
    if not plain or (dotted_import and not alias.asname and "." not in local and loads(source, local) is None):
        return None
    if dotted_import and not alias.asname:
        return {"kind": "module", "aliases": [[move["to"], None]], "uses": [[place_of(node, source), "@"] for node in chains]}
    return {"kind": "module", "aliases": [[move["to"], local]], "uses": []}


def of_attribute(node: ast.Attribute, move: Move, source: SourceFile) -> dict[str, Any] | None:
    """How to rewrite ``module.name``; None where that is not certain."""
    if "to" not in move:
        return None
    name, owner = move["names"][node.attr], _code(node.value, source)
    if move.get("shapes"):
        calls = _calls([node], move, source)
        return None if calls is None else {"kind": "attribute", "aliases": [], "uses": calls}
    if move["to"] == move["module"]:
        code = f"{owner}.{name}"
    elif move.get("loaded"):
        code = f"{owner}{move['to'].removeprefix(move['module'])}.{name}"
    else:
        code = f"@.{name}"
    return {"kind": "attribute", "aliases": [], "uses": [[place_of(node, source), code]]}


# pkg_resources


def _distributions(node: ast.Import | ast.ImportFrom, source: SourceFile) -> dict[str, Any] | None:
    """The uses of pkg_resources as calls of ``importlib.metadata``; None when one of them is of another kind."""
    if isinstance(node, ast.Import):
        if len(node.names) > 1 or node.names[0].name != "pkg_resources":
            return None
        owners = loads(source, node.names[0].asname or "pkg_resources")
        uses = [(one, one.attr if isinstance(one, ast.Attribute) else "") for one in map(source.parent, owners or ())]
    else:
        owners = [load for alias in node.names for load in loads(source, alias.asname or alias.name) or [None]]
        uses = [(one, node.names[0].name if one is None else source.imports[one.id].rpartition(".")[2]) for one in owners]
    if owners is None or not uses:
        return None
    rewrites = [_distribution(one, name, source) for one, name in uses]
    return None if None in rewrites else {"kind": "module", "aliases": [["importlib.metadata", None]], "uses": rewrites}


def _distribution(use: ast.AST | None, name: str, source: SourceFile) -> Use | None:
    if not isinstance(use, ast.Name | ast.Attribute):
        return None
    if name == "DistributionNotFound":
        return [place_of(use, source), "@.PackageNotFoundError"]
    call = source.parent(use)
    if not isinstance(call, ast.Call) or call.func is not use or len(call.args) != 1 or call.keywords:
        return None
    wanted, outer = call.args[0], source.parent(call)
    if isinstance(wanted, ast.Constant) and not re.fullmatch(r"[\w.-]+", str(wanted.value)):
        return None
    if name not in ("get_distribution", "require"):
        return None
    if name == "require":
        first = isinstance(outer, ast.Subscript) and isinstance(outer.slice, ast.Constant) and outer.slice.value == 0
        if not first or not isinstance(wanted, ast.Constant):
            return None
        outer = source.parent(outer) if outer else None
    if not isinstance(outer, ast.Attribute) or outer.attr != "version":
        return None
    return [place_of(outer, source), f"@.version({_code(wanted, source)})"]
