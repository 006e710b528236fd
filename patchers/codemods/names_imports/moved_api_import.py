"""Import from the new place, and change the uses where the name or the form is another one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import libcst as cst

from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.source import SourceFile
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
    for span, code in rewrite["uses"]:
        target.replace(target.node(cst.BaseExpression, Span(*span)), target.expression(code.replace("@", local)))
    if not (edits and not rewrite["uses"] and _is_whole(target, finding.facts["names"])):
        edits += target.edits(anywhere=rewrite["kind"] != "attribute")
    try:
        apply_edits(target.source.data, edits)
    except ConflictError:
        raise Abstain("the old import and the new one stand too close together") from None
    return edits


def _import(target: Target, facts: Mapping[str, Any], kind: str, aliases: _Aliases) -> tuple[str, list[Edit]]:
    """The local name of the new module, and edits besides the replacements that were asked of the target."""
    old, new, names = facts["module"], facts["to"], frozenset(facts["names"])
    statement = _statement(target)
    line = target.node(cst.SimpleStatementLine)
    if len(line.body) > 1:
        raise Abstain("the import shares its line")
    alone = _is_whole(target, facts["names"])
    movable = statement in target.source.tree.body and all(local is None for _, local in aliases)
    wanted = list(dict.fromkeys((new, name) for name, _ in aliases))
    if movable and alone and (_is_standard(old) != _is_standard(new) or _has(target.source, new, kind)):
        if kind == "module":
            return target.use_import(new), _removed(target.source, statement)
        return "", [*_removed(target.source, statement), *head_edits(target.source, wanted)]
    if kind == "from" and old == new:
        target.replace(line.body[0], _in_place(line.body[0], dict(zip(facts["names"], (name for name, _ in aliases), strict=True))))
        return "", []
    if movable and not alone:
        _shorten(target, line, names)
        return "", list(head_edits(target.source, wanted))
    if not alone:
        raise Abstain("the import brings other names, too")
    target.replace(line.body[0], _renamed(target, line.body[0], new, aliases, kind))
    return new, []


def _is_whole(target: Target, names: Sequence[str]) -> bool:
    """Whether the statement goes as a whole: then there is nothing to replace."""
    return all(alias.name in names or not names for alias in _statement(target).names)


def _statement(target: Target) -> ast.Import | ast.ImportFrom:
    for node in target.source.import_statements:
        if target.source.span(node) == target.span:
            return node
    raise Abstain("the import is not where it was")


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


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
    """The statement's lines taken out, and a blank line above where one would be left over on both sides."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    before, after = source.lines[first - 1][: statement.col_offset], source.lines[last - 1][statement.end_col_offset or 0 :]
    if before.strip() or after.strip():
        raise Abstain("something else stands on the lines of the import")
    blank_above = first > 1 and not source.lines[first - 2].strip()
    blank_below = last < len(source.lines) and not source.lines[last].strip()
    start = offset_of(source, first - 1 if blank_above and blank_below else first, 1)
    end = offset_of(source, last + 1, 1) if last < len(source.lines) else len(source.data)
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
