"""The task of ``create_task`` is not kept, so it may be collected before it ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixbot.detectors.engines.ruff import Diagnostic
from fixbot.detectors.finding import CODEMOD, MODEL, Severity
from fixbot.detectors.registry import Report, Ruff, report, rule
from fixbot.detectors.source import SourceFile


@rule(Ruff(("RUF006",)), severity=Severity.MEDIUM, fix=CODEMOD)
def check(diagnostic: Diagnostic, source: SourceFile) -> Iterator[Report]:
    """ruff finds the calls; a codemod can keep the task where the call is a statement of its own."""
    call = source.node_at(diagnostic.span.line, diagnostic.span.column, ast.Call)
    if call is None:
        return
    alone = isinstance(source.parent(call), ast.Expr)
    name = ast.unparse(call.func)
    yield report(
        call,
        f"nothing keeps the task of `{name}(...)`: the event loop holds only a weak reference, so it may vanish before it ends",
        fix=CODEMOD if alone else MODEL,
    )
