"""Import from the new place, and change the uses where the name or the form is another one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.source import SourceFile
from fixbot.detectors.standard import STANDARD
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.imports import head_edits, offset_of
from fixbot.patchers.patch import ConflictError, Edit, apply_edits

_Aliases = Sequence[tuple[str, str | None]]  # new name, local name where it is another one


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """The detector decided what becomes of each use; here the import statement finds its form and place."""
    rewrite = finding.facts["rewrite"]
    if not rewrite:
        raise Abstain("the new place is no full equivalent, not declared, or not in all versions")
    target = tree.target(finding)
    edits: list[Edit] = []
    local = ""
    if rewrite["kind"] != "attribute":
        local, edits = _import(target, finding.facts, rewrite["kind"], rewrite["aliases"])
    elif any("@" in code for _, code in rewrite["uses"]):
        local = target.use_import(finding.facts["to"])
        edits = _unneeded(target, finding.facts["module"], finding.facts["to"])
    for span, code in rewrite["uses"]:
        target.replace(target.node(cst.BaseExpression, Span(*span)), target.expression(code.replace("@", local)))
    if rewrite["uses"] or not edits or not _is_whole(_statement(target), finding.facts["names"]):
        edits += target.edits(anywhere=True)
    try:
        apply_edits(target.source.data, edits)
    except ConflictError:
        raise Abstain("the old import and the new one stand too close together") from None
    return edits


def _import(target: Target, facts: Mapping[str, Any], kind: str, aliases: _Aliases) -> tuple[str, list[Edit]]:
    """The local name of the new module, and edits besides the replacements that were asked of the target."""
    old, new = facts["module"], facts["to"]
    statement = _statement(target)
    line = target.node(cst.SimpleStatementLine)
    if len(line.body) > 1:
        raise Abstain("the import shares its line")
    alone = _is_whole(statement, facts["names"])
    if kind == "from" and old == new:
        target.replace(line.body[0], _in_place(line.body[0], dict(zip(facts["names"], (name for name, _ in aliases), strict=True))))
        return "", []
    top = statement in target.source.tree.body
    if not top and not alone:
        raise Abstain("the import brings other names, too")
    named = any(local for _, local in aliases)
    if not top or (alone and named):
        target.replace(line.body[0], _renamed(target, line.body[0], new, aliases, kind))
        return new, []
    names = list(dict.fromkeys(f"{name} as {local}" if local else str(name) for name, local in aliases))
    elsewhere = _has(target.source, new, kind) or _key(statement)[:2] != _key(statement, new)[:2]
    if not alone:
        _shorten(target, line, frozenset(facts["names"]))
        return "", _brought(target.source, new, names) if elsewhere and not named else [_beside(target.source, statement, new, names)]
    if elsewhere and kind == "module":
        return target.use_import(new), _removed(target.source, statement)
    if elsewhere:
        return "", [*_removed(target.source, statement), *_brought(target.source, new, names)]
    changed = _renamed(target, line.body[0], new, aliases, kind)
    place = _line_for(target.source, statement, new)
    if place in (statement.lineno, (statement.end_lineno or 0) + 1):
        target.replace(line.body[0], changed)
        return new, []
    text = target.module.code_for_node(line.with_changes(leading_lines=[], body=[changed]))
    return new, [*_removed(target.source, statement), _insertion(target.source, place, text)]


def _is_whole(statement: ast.Import | ast.ImportFrom, names: Sequence[str]) -> bool:
    """Whether the statement goes as a whole: then there is nothing to replace."""
    return all(alias.name in names or not names for alias in statement.names)


def _unneeded(target: Target, old: str, new: str) -> list[Edit]:
    """``import old`` taken out, where the finding was its only use: the module itself may be gone, too."""
    loads = [node for node in ast.walk(target.source.tree) if isinstance(node, ast.Name) and target.source.imports.get(node.id) == old]
    if len(loads) > 1 or new.startswith(f"{old}."):
        return []
    whole = [node for node in target.source.tree.body if isinstance(node, ast.Import) and [alias.name for alias in node.names] == [old]]
    return _removed(target.source, whole[0]) if whole else []


def _statement(target: Target) -> ast.Import | ast.ImportFrom:
    for node in target.source.import_statements:
        if target.source.span(node) == target.span:
            return node
    raise Abstain("the import is not where it was")


def _brought(source: SourceFile, module: str, names: Sequence[str]) -> list[Edit]:
    """Insertions of ``from module import names`` where such an import belongs; one statement for all names."""
    edits = list(head_edits(source, [(module, name) for name in names]))
    single = f"from {module} import {names[0]}"
    if len(names) > 1 and any(single in edit.new for edit in edits):
        first = head_edits(source, [(module, names[0])])[0]
        return [replace(first, new=first.new.replace(single, f"from {module} import {', '.join(names)}"))]
    return edits


def _beside(source: SourceFile, statement: ast.Import | ast.ImportFrom, module: str, names: Sequence[str]) -> Edit:
    place = max(_line_for(source, statement, module), (statement.end_lineno or 0) + 1)
    return _insertion(source, place, f"from {module} import {', '.join(names)}\n")


def _insertion(source: SourceFile, line: int, text: str) -> Edit:
    if line > len(source.lines):
        raise Abstain("the import is the end of the file")
    at = offset_of(source, line, 1)
    end = "\r\n" if b"\r\n" in source.data else "\n"
    raw = text.replace("\r\n", "\n").replace("\n", end).encode(source.encoding.removesuffix("-sig"))
    return Edit(source.path, at, at, raw.decode("latin-1"))


def _line_for(source: SourceFile, statement: ast.Import | ast.ImportFrom, module: str) -> int:
    """The line before which an import of the module belongs among those around the old one: in order where they are, else its own line."""
    body = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    first = last = body.index(statement)
    while first and body[first - 1].end_lineno == body[first].lineno - 1:
        first -= 1
    while last + 1 < len(body) and body[last].end_lineno == body[last + 1].lineno - 1:
        last += 1
    run = [node for node in body[first : last + 1] if _key(node)[:2] == _key(statement)[:2]]
    keys = [_key(node) for node in run]
    if keys != sorted(keys):
        return statement.lineno
    others = [node for node in run if node is not statement]
    later = next((node for node in others if _key(node) > _key(statement, module)), None)
    return later.lineno if later else (run[-1].end_lineno or 0) + 1


def _key(node: ast.stmt, module: str = "") -> tuple[bool, bool, str]:
    """Section (standard library or not), ``from`` or not, and the module's name: the order of sorted imports."""
    is_from = isinstance(node, ast.ImportFrom)
    name = module or (node.module or "" if is_from else node.names[0].name if isinstance(node, ast.Import) else "")
    return name.partition(".")[0] not in STANDARD, is_from, name.casefold()


def _has(source: SourceFile, module: str, kind: str) -> bool:
    """Whether the file imports the module (or names from it) at its top level already."""
    for node in source.tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            if node.module == module and kind == "from" and node.names[0].name != "*":
                return True
            if kind == "module" and any(f"{node.module}.{alias.name}" == module for alias in node.names):
                return True
        elif isinstance(node, ast.Import) and kind == "module" and any(alias.name == module for alias in node.names):
            return True
    return False


def _removed(source: SourceFile, statement: ast.stmt) -> list[Edit]:
    """The statement's lines taken out, and the blank line below where one stands above, too."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    before, after = source.lines[first - 1][: statement.col_offset], source.lines[last - 1][statement.end_col_offset or 0 :]
    if before.strip() or after.strip():
        raise Abstain("something else stands on the lines of the import")
    blank_above = first == 1 or not source.lines[first - 2].strip()
    blank_below = last < len(source.lines) and not source.lines[last].strip()
    start, beyond = offset_of(source, first, 1), last + 1 + (blank_above and blank_below)
    end = offset_of(source, beyond, 1) if beyond <= len(source.lines) else len(source.data)
    return [Edit(source.path, start, end, "")]


def _in_place(node: cst.BaseSmallStatement, renamed: Mapping[str, str]) -> cst.ImportFrom:
    """The statement with other names from the same module; a name that it has already is not doubled."""
    old = cst.ensure_type(node, cst.ImportFrom)
    if isinstance(old.names, cst.ImportStar):
        raise Abstain("everything is imported")
    names: dict[str, cst.ImportAlias] = {}
    for alias in old.names:
        name = renamed.get(str(alias.evaluated_name), str(alias.evaluated_name))
        names.setdefault(f"{name} {alias.evaluated_alias or name}", alias.with_changes(name=cst.Name(name)))
    *kept, last = names.values()
    return old.with_changes(names=[*kept, last.with_changes(comma=old.names[-1].comma)])


def _shorten(target: Target, line: cst.SimpleStatementLine, names: frozenset[str]) -> None:
    """Take the moved names out of the statement, whose other names stay."""
    node = cst.ensure_type(line.body[0], cst.ImportFrom)
    if isinstance(node.names, cst.ImportStar):
        raise Abstain("everything is imported")
    kept = [alias for alias in node.names if alias.evaluated_name not in names]
    last = kept[-1].with_changes(comma=node.names[-1].comma)
    target.replace(node, node.with_changes(names=[*kept[:-1], last]))


def _renamed(target: Target, node: cst.BaseSmallStatement, new: str, aliases: _Aliases, kind: str) -> cst.Import | cst.ImportFrom:
    """The statement with the new module and names, its layout kept."""
    module = cst.ensure_type(target.expression(new), cst.Attribute) if "." in new else cst.Name(new)
    if kind == "module":
        local = aliases[0][1]
        asname = cst.AsName(cst.Name(local)) if local and local != new else None
        return cst.Import([cst.ImportAlias(module, asname)])
    old = cst.ensure_type(node, cst.ImportFrom)
    if isinstance(old.names, cst.ImportStar):
        raise Abstain("everything is imported")
    if len(aliases) != len(old.names):
        raise Abstain("two names become one")
    names = [one.with_changes(name=cst.Name(str(name))) for one, (name, _) in zip(old.names, aliases, strict=True)]
    return old.with_changes(module=module, names=names)
