"""Log what the handler drops, with its traceback."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.patchers.codemod import Tree
from fixbot.patchers.logs import failure_text, log_call, with_log
from fixbot.patchers.patch import Edit


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """The handler's first statement becomes a log call; a lone ``pass`` is replaced by it."""
    target = tree.target(finding)
    handler = target.node(cst.ExceptHandler)
    call = log_call(target, finding.span.line, failure_text(target, handler, finding.facts["call"]))
    target.replace(handler, with_log(target, handler, call, finding.span.column))
    return target.edits()
