"""Add the member to its class, after the pattern of the constants that are there."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from fixbot.detectors.finding import Finding, Span
from fixbot.patchers.codemod import Abstain, Tree
from fixbot.patchers.patch import Edit


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """A copy of the last constant with the new name and value is put below it, or in alphabetical order where the class keeps one."""
    facts = finding.facts
    if not facts["value"]:
        raise Abstain("the value of a further constant is not certain")
    target = tree.target(finding, path=facts["file"], span=Span(*facts["place"]))
    block = cst.ensure_type(target.node(cst.ClassDef).body, cst.IndentedBlock)
    lines = [line for line in block.body if isinstance(line, cst.SimpleStatementLine)]
    named = [(name, line) for line in lines if (name := _name(line)) and not name.startswith("_")]
    if len(named) < 2 or any(len(line.body) > 1 for _, line in named):
        raise Abstain("the constants of the class do not stand on lines of their own")
    names = [name for name, _ in named]
    is_sorted = len(names) > 2 and names == sorted(names)
    place = next((index for index, name in enumerate(names) if is_sorted and name > facts["name"]), len(names))
    anchor = named[max(place - 1, 0)][1]
    following = block.body[list(block.body).index(anchor) + 1 :][:1]
    if following and isinstance(following[0], cst.SimpleStatementLine) and isinstance(following[0].body[0], cst.Expr):
        raise Abstain("the constants of the class have texts of their own")
    new = _like(anchor, facts["name"], facts["value"])
    if place:
        target.replace(anchor, cst.FlattenSentinel([anchor, new]))
    elif any(line.comment for line in anchor.leading_lines):
        raise Abstain("a comment stands above the first constant")
    else:
        first = new.with_changes(leading_lines=anchor.leading_lines)
        target.replace(anchor, cst.FlattenSentinel([first, anchor.with_changes(leading_lines=())]))
    return target.edits(anywhere=True)


def _name(line: cst.SimpleStatementLine) -> str:
    statement = line.body[0]
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        name = statement.targets[0].target
    elif isinstance(statement, cst.AnnAssign) and statement.value is not None:
        name = statement.target
    else:
        return ""
    return name.value if isinstance(name, cst.Name) else ""


def _like(line: cst.SimpleStatementLine, name: str, text: str) -> cst.SimpleStatementLine:
    statement = line.body[0]
    if not isinstance(statement, cst.Assign | cst.AnnAssign):
        raise Abstain("the constants of the class are no assignments")
    value = statement.value
    if not isinstance(value, cst.Call):
        if not isinstance(value, cst.SimpleString):
            raise Abstain("the values of the class are not plain strings")
        if not text.isascii() or "\\" in text or value.quote in text or value.prefix:
            raise Abstain("the values of the class need escapes")
        value = cst.SimpleString(f"{value.quote}{text}{value.quote}")
    if isinstance(statement, cst.Assign):
        copy = statement.with_changes(targets=[statement.targets[0].with_changes(target=cst.Name(name))], value=value)
    else:
        copy = statement.with_changes(target=cst.Name(name), value=value)
    return cst.SimpleStatementLine([copy])
