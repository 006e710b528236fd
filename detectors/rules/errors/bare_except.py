"""``except:`` catches Ctrl-C, exits and cancellation, too, and goes on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.facts import handler_names
from fixbot.detectors.finding import CODEMOD, Severity
from fixbot.detectors.handlers import (
    called_name,
    consequence,
    first_call,
    is_cleanup,
    is_muted,
    is_silent,
    leaves,
    mentions,
    own_calls,
    own_nodes,
)
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile

_ERROR_ITSELF = frozenset(
    {"exc_info", "exception", "last_exc", "last_value", "format_exc", "print_exc", "format_exception", "print_exception"}
)
_LOGS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print"})
_HANDS_ON = re.compile(
    r"exc(?:eption|ept)?(?:_|info|hook|$)|(?:^|_)err(?:or)?|error|traceback|fail|crash|panic|abort|interrupt|(?:^|_)(?:show)?tb$",
    re.IGNORECASE,
)
_FOREIGN = frozenset(
    {"exec", "eval", "execfile", "runpy", "run_path", "run_module", "import_module", "__import__", "exec_module", "load_module"}
)
_SHOWS = frozenset({"repr", "str", "unicode", "bytes", "hash", "dir", "getattr", "hasattr", "type", "len", "format", "isinstance"})
_ON_PURPOSE = re.compile(
    r"#.*(?:blanket|catch[- ]?all|bare except|any(?:thing| exception| error)|every(?:thing| exception)|all exceptions)", re.IGNORECASE
)
_PYLINT = re.compile(r"\s*#\s*pylint:\s*disable=\S*bare-except")
_EXITING = frozenset({"KeyboardInterrupt", "SystemExit", "GeneratorExit", "BaseException", "Exception", "CancelledError"})


@rule(ast.Try, hint=(b"except:", b"except :"), severity=Severity.MEDIUM, fix=CODEMOD)
def check(node: ast.Try, source: SourceFile) -> Iterator[Report]:
    """Report a last handler without a type that neither raises nor hands the error on."""
    handler = node.handlers[-1] if node.handlers else None
    if handler is None or handler.type is not None or leaves(handler) or _handles(handler):
        return
    if any(not _EXITING.isdisjoint(name.rpartition(".")[2] for name in handler_names(other)) for other in node.handlers[:-1]):
        return
    called = {called_name(call) for call in own_calls(node.body)}
    if (
        not _FOREIGN.isdisjoint(called)
        or (called and called <= _SHOWS)
        or any(isinstance(one, ast.Import | ast.ImportFrom) for one in node.body)
    ):
        return
    if is_test(source.path) or is_muted(handler, node, source) or _is_excused(handler, node, source):
        return
    told = any(called_name(call) in _LOGS for call in own_calls(handler.body))
    matters = not told and (
        consequence(node.body, source) is not None or any(_is_loud(call, handler, source) for call in own_calls(node.body))
    )
    yield report(
        handler,
        "`except:` also catches KeyboardInterrupt, SystemExit and cancellation: the program goes on when it is told to stop"
        + (", and nobody learns of the error" if matters else ""),
        severity=Severity.MEDIUM if matters else Severity.LOW,
        call=first_call(node.body),
        told=told,
        log=matters,
    )


def _handles(handler: ast.ExceptHandler) -> bool:
    """Whether a handler uses the error that it has no name for, or calls something that is there to deal with errors."""
    if mentions(handler, _ERROR_ITSELF):
        return not _is_logged_only(handler)
    return any(_HANDS_ON.search(called_name(call)) and called_name(call) not in _LOGS for call in own_calls(handler.body))


def _is_logged_only(handler: ast.ExceptHandler) -> bool:
    """Whether ``logger.exception(...)`` is the only use of the error."""
    names = [node.attr for node in own_nodes(handler.body) if isinstance(node, ast.Attribute) and node.attr in _ERROR_ITSELF]
    names += [node.id for node in own_nodes(handler.body) if isinstance(node, ast.Name) and node.id in _ERROR_ITSELF]
    logged = [call for call in own_calls(handler.body) if called_name(call) == "exception"]
    return len(names) == len(logged)


def _is_loud(call: ast.Call, handler: ast.ExceptHandler, source: SourceFile) -> bool:
    """Whether the table knows what a call raises, and as a failure of the outside world that somebody should hear of."""
    facts = table("bare_except")
    name = source.qualified(call.func) or (call.func.id if isinstance(call.func, ast.Name) else "")
    if name in facts["calls"]:
        return name not in facts["quiet"] and (name not in facts["parsers"] or is_silent(handler))
    return any(called_name(call) in methods["methods"] for methods in facts["objects"].values() if methods.get("loud"))


def _is_excused(handler: ast.ExceptHandler, node: ast.Try, source: SourceFile) -> bool:
    """Whether the place or the author's words make the handler right: cleaning up, or meant to catch everything."""
    lines = source.lines[handler.lineno - 1 : (handler.end_lineno or handler.lineno)]
    if any(_ON_PURPOSE.search(line) for line in lines):
        return True
    if b"bare-except" in source.data and any(_PYLINT.match(line) for line in source.lines[: handler.lineno]):
        return True
    child: ast.AST = node
    for ancestor in source.ancestors(node):
        match ancestor:
            case ast.ExceptHandler() if is_silent(handler):
                return True
            case ast.Try() if child in ancestor.finalbody:
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return is_cleanup(ancestor.name)
            case _:
                child = ancestor
    return False
