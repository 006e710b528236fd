"""A handler for every exception drops the failure of work that matters, without a trace."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.finding import CODEMOD, Severity
from fixbot.detectors.handlers import (
    called_name,
    consequence,
    first_call,
    is_broad,
    is_cleanup,
    is_muted,
    is_probe,
    is_remarked,
    is_silent,
    is_telemetry,
    own_nodes,
)
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile, dotted

_EXCUSE = re.compile(
    r"best[ -]?effort|ignor|optional|non[- ]?(?:fatal|critical|blocking)|(?:may|might|can) (?:fail|not)|never (?:raise|break|fail)|"
    r"swallow|suppress|silent|if possible|harmless|doesn't matter|does not matter|don't care|telemetry|metrics",
    re.IGNORECASE,
)
_ON_FAILURE = re.compile(r"error|exception|excepthook", re.IGNORECASE)


@rule(ast.Try, hint=b"Exception", severity=Severity.MEDIUM, fix=CODEMOD)
def check(node: ast.Try, source: SourceFile) -> Iterator[Report]:
    """Report silent broad handlers around calls whose failure somebody must hear about."""
    for handler in node.handlers:
        if handler.type is None or not is_broad(handler) or not is_silent(handler):
            continue
        call = consequence(node.body, source)
        if call is None or is_remarked(handler, node, source) or is_muted(handler, node, source):
            continue
        if is_test(source.path) or _is_excused(handler, node, source):
            continue
        name = dotted(call.func) or called_name(call)
        message = f"when `{name}` fails, nobody learns of it: the handler catches every exception and drops it"
        yield report(handler, message, call=first_call(node.body))


def _is_excused(handler: ast.ExceptHandler, node: ast.Try, source: SourceFile) -> bool:
    """Whether the place makes the silence right: cleaning up, probing, trying alternatives, or a text that says so."""
    child: ast.AST = node
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    for ancestor in source.ancestors(node):
        match ancestor:
            case ast.ExceptHandler():
                return True
            case ast.Try() if child in ancestor.finalbody:
                return True
            case ast.For() | ast.AsyncFor() | ast.While() if _is_attempt(ancestor):
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                function = ancestor
                break
            case _:
                child = ancestor
    above = source.lines[node.lineno - 2].strip() if node.lineno > 1 else ""
    if above.startswith("#") and _EXCUSE.search(above):
        return True
    if function is None:
        return False
    if is_cleanup(function.name) or is_probe(function.name) or is_telemetry(function.name) or _ON_FAILURE.search(function.name):
        return True
    if _EXCUSE.search(ast.get_docstring(function, clean=False) or ""):
        return True
    return _answers(handler) and any(isinstance(one, ast.Return) and not _is_none(one.value) for one in own_nodes(function.body))


def _is_attempt(loop: ast.For | ast.AsyncFor | ast.While) -> bool:
    """Whether a loop goes on until one of its rounds succeeds: it is left by ``return`` or ``break``, or waits between the rounds."""
    handlers = [node for node in own_nodes(loop.body) if isinstance(node, ast.ExceptHandler)]
    failing = {id(node) for one in handlers for node in own_nodes(one.body)}
    return any(
        isinstance(node, ast.Return | ast.Break) or (isinstance(node, ast.Call) and called_name(node) == "sleep")
        for node in own_nodes(loop.body)
        if id(node) not in failing
    )


def _answers(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Return)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
