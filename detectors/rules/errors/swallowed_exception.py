"""A handler for every exception drops the failure of work that matters, without a trace."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.finding import CODEMOD, Severity
from fixbot.detectors.handlers import called_name, first_call, is_broad, is_cleanup, is_muted, is_probe, is_remarked, own_calls, own_nodes
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile, dotted

_REMOTE = ("requests.", "httpx.", "urllib.request.", "aiohttp.", "smtplib.", "ftplib.", "psycopg2.", "psycopg.", "boto3.", "stripe.")
_CHANGES = frozenset(  # alone or as the first word of a longer name
    {"charge", "commit", "deliver", "enqueue", "execute", "executemany", "fput", "insert", "migrate", "pay", "persist", "post", "publish"}
    | {"refund", "save", "send", "sendmail", "submit", "transfer", "upload", "upsert"}
)
_CHANGES_WHAT = frozenset(  # too general alone: `update` may be of a dict, `update_status` is not
    {"add", "apply", "bulk", "copy", "create", "credit", "debit", "delete", "deploy", "dispatch", "export", "handle", "import", "ingest"}
    | {"notify", "process", "put", "remove", "replace", "restore", "store", "sync", "update", "write"}
)
_TRIVIAL = frozenset(
    {"record", "track", "capture", "emit", "report", "log", "metric", "metrics", "trace", "incr", "increment", "gauge", "observe", "timing"}
    | {"close", "aclose", "release", "stop", "cancel", "wait", "sleep", "gather", "shield", "join", "rollback", "flush", "drain", "kill"}
    | {"terminate", "disconnect", "shutdown", "reset", "unlink", "rmtree", "cleanup", "clean", "dispose", "abort", "acquire", "print"}
    | {"if", "task", "callback", "listener", "handler", "hook", "option", "options", "argument", "cache", "cached", "dir", "dirs", "folder"}
    | {"directory", "temp", "tmp", "widget", "style", "signal", "event", "events", "ping", "typing", "prefetch", "warmup"}
)
_EXCUSE = re.compile(
    r"best[ -]?effort|ignor|optional|non[- ]?(?:fatal|critical|blocking)|(?:may|might|can) (?:fail|not)|never (?:raise|break|fail)|"
    r"swallow|suppress|silent|if possible|harmless|doesn't matter|does not matter|don't care|telemetry|metrics",
    re.IGNORECASE,
)
_ON_FAILURE = re.compile(r"error|exception|excepthook", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+")


@rule(ast.Try, hint=b"except", severity=Severity.MEDIUM, fix=CODEMOD)
def check(node: ast.Try, source: SourceFile) -> Iterator[Report]:
    """Report silent broad handlers around calls whose failure somebody must hear about."""
    for handler in node.handlers:
        if handler.type is None or not is_broad(handler) or not _is_silent(handler):
            continue
        call = _consequence(node.body, source)
        if call is None or is_remarked(handler, node, source) or is_muted(handler, node, source):
            continue
        if is_test(source.path) or _is_excused(handler, node, source):
            continue
        what = f"`{dotted(call.func) or called_name(call)}` fails"
        yield report(
            handler,
            f"nothing tells that {what}: the handler catches every exception and drops it",
            call=first_call(node.body),
        )


def _is_silent(handler: ast.ExceptHandler) -> bool:
    """Only ``pass``, ``continue``, ``break`` and ``return`` without a value."""
    for statement in handler.body:
        match statement:
            case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Return(value=None | ast.Constant(value=None)):
                pass
            case _:
                return False
    return True


def _consequence(body: list[ast.stmt], source: SourceFile) -> ast.Call | None:
    """The first call in a block that does something outside of this process's memory, as far as its name tells."""
    awaited: set[ast.AST] = set()
    dropped: set[ast.AST] = set()
    calls: list[ast.Call] = []
    for node in own_nodes(body):
        match node:
            case ast.Await(value=ast.Call() as call):
                awaited.add(call)
            case ast.Expr(value=ast.Call() as call):
                dropped.add(call)
            case ast.Call():
                calls.append(node)
            case _:
                pass
    for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        words = _WORD.findall(called_name(call).lower())
        if not words or not _TRIVIAL.isdisjoint(words):
            continue
        origin = source.qualified(call.func) or ""
        if call in awaited and not origin.startswith(("asyncio.", "anyio.", "trio.")):
            return call
        if origin.startswith(_REMOTE) or (call in dropped and _changes(words, call)):
            return call
    return None


def _changes(words: list[str], call: ast.Call) -> bool:
    """Whether the words of a call's name say that it changes something that outlives it."""
    if words[0] in _CHANGES:
        return isinstance(call.func, ast.Attribute) or len(words) > 1
    return len(words) > 1 and words[0] in _CHANGES_WHAT


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
    words = _WORD.findall(function.name.lower())
    if is_cleanup(function.name) or is_probe(function.name) or (words and words[0] in _TRIVIAL) or _ON_FAILURE.search(function.name):
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
