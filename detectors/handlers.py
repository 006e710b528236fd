"""What an ``except`` handler does with the error that it catches, for the rules about errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from fixbot.detectors.facts import handler_names
from fixbot.detectors.source import SourceFile, dotted, substatements
from fixbot.detectors.walk import children

_EXITS = frozenset({"exit", "_exit", "quit", "abort", "interrupt_main", "fail", "skip"})
_REMARK = re.compile(r"#(?!\s*(?:type:|fmt:|TODO\b|FIXME\b|XXX\b|HACK\b|-*$|pragma:|nosec\b|noqa\b|pylint:|fixbot:))\s*\S.*")
_MUTED = re.compile(
    r"#.*?(?:noqa:[^#]*\b(?:E722|BLE001|S110|S112|PERF203)|noqa(?!:)|nosec\b|pylint:\s*disable=\S*(?:bare|broad)-except\w*)"
)
_CLEANUP = re.compile(
    r"^_*(?:del|exit|aexit|close|aclose|shutdown|shut_down|stop|cleanup|clean_up|teardown|tear_down|dispose|disconnect|terminate|kill|"
    r"detach|destroy|unregister|rollback|quit)(?:_|$|(?-i:[A-Z]))",
    re.IGNORECASE,
)
_PROBE = re.compile(
    r"^_*(?:is|has|can|could|try|supports?|check|maybe|safe|safely|probe|detect|guess|should|ping|exists|validate|ignore|suppress|silent)(?:_|$)"
    r"|_(?:safe|safely|quietly|silently|or_none|or_default|available|if_possible|alive|healthy|best_effort)$",
    re.IGNORECASE,
)

_REMOTE = ("requests.", "httpx.", "urllib.request.", "aiohttp.", "smtplib.", "ftplib.", "psycopg2.", "psycopg.", "boto3.", "stripe.")
_CHANGES = frozenset(  # alone or as the first word of a longer name
    {"charge", "commit", "deliver", "enqueue", "execute", "executemany", "fput", "insert", "migrate", "pay", "persist", "post", "publish"}
    | {"refund", "save", "send", "sendmail", "submit", "transfer", "upload", "upsert"}
)
_CHANGES_WHAT = frozenset(  # too general alone: `update` may be of a dict, `update_status` is not
    {"add", "apply", "bulk", "copy", "create", "credit", "debit", "delete", "deploy", "dispatch", "export", "handle", "import", "ingest"}
    | {"notify", "process", "put", "remove", "replace", "restore", "store", "sync", "update", "write"}
)
_MEASURES = frozenset(
    {"record", "track", "capture", "emit", "report", "log", "metric", "metrics", "trace", "incr", "increment", "gauge", "observe", "timing"}
)
_TRIVIAL = (
    _MEASURES
    | {"close", "aclose", "release", "stop", "cancel", "wait", "sleep", "gather", "shield", "join", "rollback", "flush", "drain", "kill"}
    | {"terminate", "disconnect", "shutdown", "reset", "unlink", "rmtree", "cleanup", "clean", "dispose", "abort", "acquire", "print"}
    | {"if", "task", "callback", "listener", "handler", "hook", "option", "options", "argument", "cache", "cached", "dir", "dirs", "folder"}
    | {
        "directory",
        "temp",
        "tmp",
        "docstring",
        "doc",
        "widget",
        "style",
        "signal",
        "event",
        "events",
        "ping",
        "typing",
        "prefetch",
        "warmup",
    }
)
_LESSER = frozenset(
    {"cache", "cached", "temp", "tmp", "metrics", "telemetry", "statsd", "stats", "tracer", "span", "debug", "sound", "screen"}
)
_SCREENS = frozenset({"message", "msg", "reply", "ctx", "interaction", "bot", "page", "chat", "callback", "query", "browser", "driver"})
_PEERS = frozenset({"ws", "websocket", "sock", "socket", "conn", "connection", "peer", "transport", "writer", "pipe", "channel"})
_WORD = re.compile(r"[a-z]+")


def own_nodes(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Every node of some statements without what runs only later: the insides of functions, lambdas and classes."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(children(node))


def own_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The same without expressions: every statement that some statements hold, in source order."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from own_statements(substatements(node))


def own_calls(body: Iterable[ast.stmt]) -> Iterator[ast.Call]:
    """The calls that some statements make themselves."""
    return (node for node in own_nodes(body) if isinstance(node, ast.Call))


def called_name(call: ast.Call) -> str:
    """The last name of what is called: ``remove`` for ``bucket.remove(...)``; empty where it has none."""
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler names Exception or BaseException (a bare one names nothing)."""
    return not {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}.isdisjoint(handler_names(handler))


def leaves(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises (itself or by something named so) or ends the process, at least on one of its paths."""
    for node in own_nodes(handler.body):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and (called_name(node) in _EXITS or "raise" in called_name(node)):
            return True
    return False


def is_silent(handler: ast.ExceptHandler) -> bool:
    """Whether a handler holds only ``pass``, ``continue``, ``break`` and ``return`` without a value."""
    for statement in handler.body:
        match statement:
            case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Return(value=None | ast.Constant(value=None)):
                pass
            case _:
                return False
    return True


def is_remarked(handler: ast.ExceptHandler, block: ast.Try | ast.TryStar, source: SourceFile) -> bool:
    """Whether a comment inside or right above a handler says why it is as it is. TODO and the like are no reason."""
    return any(_REMARK.search(line) for line in _lines(handler, block, source))


def is_muted(handler: ast.ExceptHandler, block: ast.Try | ast.TryStar, source: SourceFile) -> bool:
    """Whether the author told another linter that the handler is meant to be bare, broad or silent."""
    return any(_MUTED.search(line) for line in _lines(handler, block, source))


def _lines(handler: ast.ExceptHandler, block: ast.Try | ast.TryStar, source: SourceFile) -> Iterator[str]:
    """The lines of a handler, with the comments between the block before it and itself, and those below its last statement."""
    end = handler.end_lineno or handler.lineno
    previous = [block.body[-1], *(other.body[-1] for other in block.handlers if other.lineno < handler.lineno)][-1]
    if block.lineno > 1 and source.lines[block.lineno - 2].lstrip().startswith("# pylint:"):
        yield source.lines[block.lineno - 2]
    yield from source.lines[previous.end_lineno or previous.lineno : end]
    for line in source.lines[end:]:
        text = line.lstrip()
        if not text.startswith("#") or len(line) - len(text) <= handler.col_offset:
            return
        yield text


def is_cleanup(name: str) -> bool:
    """Whether a function's name says that it puts things away."""
    return bool(_CLEANUP.match(name))


def is_probe(name: str) -> bool:
    """Whether a function's name says that a failure is one of its answers."""
    return bool(_PROBE.search(name))


def mentions(handler: ast.ExceptHandler, names: frozenset[str]) -> bool:
    """Whether a handler uses one of the names, also as the end of a dotted one."""
    return any(
        (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)
        for node in own_nodes(handler.body)
    )


def first_call(body: Iterable[ast.stmt]) -> str:
    """What a block calls, for messages: the dotted name of its only call, ``""`` where there is not exactly one."""
    calls = list(own_calls(body))
    return (dotted(calls[0].func) or "") if len(calls) == 1 else ""


def consequence(body: list[ast.stmt], source: SourceFile) -> ast.Call | None:
    """The first call of a block whose failure matters beyond this process's memory (network, database, files), as far as its name tells."""
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
        on = set(_WORD.findall((dotted(call.func) or "").lower())[: -len(words)])
        if not words or not _TRIVIAL.isdisjoint(words) or not _LESSER.isdisjoint({*on, *words}) or not _SCREENS.isdisjoint(on):
            continue
        if words[0] == "send" and not _PEERS.isdisjoint(on):
            continue
        if (source.qualified(call.func) or "").startswith(_REMOTE):
            return call
        if (call in awaited and words[0] in _CHANGES | _CHANGES_WHAT) or (call in dropped and _changes(words, call)):
            return call
    return None


def _changes(words: list[str], call: ast.Call) -> bool:
    """Whether the words of a call's name say that it changes something that outlives it."""
    if words[0] in _CHANGES:
        return isinstance(call.func, ast.Attribute) or len(words) > 1
    return len(words) > 1 and words[0] in _CHANGES_WHAT


def is_telemetry(name: str) -> bool:
    """Whether a function's name begins as those do that only measure or log."""
    return not _MEASURES.isdisjoint(_WORD.findall(name.lower())[:1])
