"""Keep the task in a module-level set until it is done."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.patchers.codemod import Abstain, Tree
from fixbot.patchers.patch import Edit

_KEPT = "_background_tasks"


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``create_task(...)`` becomes three statements: bind, keep, forget when done."""
    target = tree.target(finding)
    call = target.node(cst.Call)
    line = target.enclosing(call, cst.SimpleStatementLine)
    statement = target.parent(call)
    if line is None or not isinstance(statement, cst.Expr) or len(line.body) > 1:
        raise Abstain("the call is part of a larger statement")
    if target.is_bound(_KEPT) and f"{_KEPT}: set[" not in target.source.text:
        raise Abstain(f"`{_KEPT}` already means something else in this file")
    task = next(name for name in ("task", "background_task", "_task", "_background_task") if not target.is_bound(name))
    first, *rest = target.statements(f"{task} = {target.code(call)}\n{_KEPT}.add({task})\n{task}.add_done_callback({_KEPT}.discard)\n")
    kept = [cst.ensure_type(first, cst.SimpleStatementLine).with_changes(leading_lines=line.leading_lines), *rest[:-1]]
    last = cst.ensure_type(rest[-1], cst.SimpleStatementLine).with_changes(trailing_whitespace=line.trailing_whitespace)
    target.replace(line, cst.FlattenSentinel([*kept, last]))
    task_type = f"{target.use_import('asyncio')}.Task"
    target.define(f"{_KEPT}: set[{task_type}] = set()")
    return target.edits()
