"""A call over the network, or a wait for its result, that may never end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.finding import CODEMOD, MODEL, Severity
from fixbot.detectors.handlers import called_name, own_nodes
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile, dotted
from fixbot.detectors.walk import descendants

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request"})
_OTHERS = frozenset(
    {"urlopen", "SMTP", "SMTP_SSL", "FTP", "FTP_TLS", "POP3", "POP3_SSL", "IMAP4", "IMAP4_SSL", "Client", "AsyncClient", "Timeout"}
)
_NAMES = _VERBS | _OTHERS | {"ClientTimeout"}
_BOUNDS = frozenset({"wait_for", "timeout", "timeout_at", "fail_after", "move_on_after", "alarm", "Timeout"})
_STREAMS = (b"event-stream", b"httpx_sse", b"aconnect_sse", b"connect_sse", b"ws_connect", b"long_poll", b"long-poll", b"longpoll")
_ASIDE = re.compile(r"(?:^|/)(?:scripts?|tools?|examples?|docs?|benchmarks?|setup\.py|noxfile\.py|tasks\.py)(?:/|$)")
_ON_PURPOSE = re.compile(r"#.*(?:time ?out|stream|long|forever|unlimited|no limit|bounded|block|wait)", re.IGNORECASE)
_CLOCK = re.compile(
    r"time(?!st)|deadline|attempt|tries|retr|elapsed|remaining|expir|until|max|count|limit|stop|cancel|shutdown", re.IGNORECASE
)
_REMOTE = frozenset(
    {"requests", "httpx", "httpx2", "aiohttp", "boto3", "openai", "anthropic", "replicate", "supabase", "urllib", "grpc", "stripe"}
)


@rule(
    ast.Call,
    hint=(b"requests", b"urlopen", b"timeout=None", b"Timeout(None", b"total=None", b"smtplib", b"ftplib", b"poplib", b"imaplib"),
    severity=Severity.MEDIUM,
    fix=CODEMOD,
)
def check(node: ast.Call, source: SourceFile) -> Iterator[Report]:
    """Report calls that are known to wait without a bound."""
    name = called_name(node)
    if (
        name not in _NAMES
        or any(keyword.arg is None for keyword in node.keywords)
        or any(isinstance(one, ast.Starred) for one in node.args)
    ):
        return
    given = _given(node)
    if given is not None and not _is_none(given):
        return
    way = _unbounded(node, name, given, source)
    if not way or is_test(source.path) or _is_local(node, source) or _is_bounded(node, source):
        return
    if given is not None and _is_meant(node, source):
        return
    called = dotted(node.func) or name
    says = "is told to wait without end" if given is not None else "has no timeout"
    yield report(
        node,
        f"`{called}(...)` {says}: when the other side stays silent, this never returns and its thread or task hangs",
        severity=Severity.LOW if _ASIDE.search(source.path) or _is_script(node, source) else None,
        fix=MODEL if given is not None and not any(keyword.value is given for keyword in node.keywords) and way != "limits" else None,
        way=way,
    )


def _is_script(node: ast.Call, source: SourceFile) -> bool:
    """Whether the call is in ``if __name__ == "__main__":``, where somebody sits in front of it."""
    if b"__main__" not in source.data:
        return False
    return any(isinstance(one, ast.If) and "__name__" in ast.unparse(one.test) for one in source.ancestors(node))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _given(node: ast.Call) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == "timeout"), None)


def _unbounded(node: ast.Call, name: str, given: ast.expr | None, source: SourceFile) -> str:
    """How a call without a timeout (or with None) is unbounded: ``default``, ``none``, ``limits``, ``aiohttp``; empty when it is not."""
    facts = table("missing_timeout")
    origin = source.qualified(node.func)
    if origin and origin in facts["calls"]:
        position = facts["calls"][origin]
        connects = origin.startswith("requests.") or node.args or any(keyword.arg in ("host", "url") for keyword in node.keywords)
        return "default" if connects and (position < 0 or len(node.args) <= position) else ""
    unlimited = facts["unlimited"]
    if origin in unlimited["names"]:
        return "none" if given is not None else ""
    if origin in unlimited["limits"]:
        only = len(node.args) + len(node.keywords) == 1
        return "limits" if only and _is_none(given or (node.args or [ast.Constant(0)])[0]) else ""
    if origin in unlimited["aiohttp"]:
        total = next((keyword.value for keyword in node.keywords if keyword.arg == "total"), None)
        return "aiohttp" if total is not None and _is_none(total) and len(node.keywords) == 1 and not node.args else ""
    if (
        name not in _VERBS
        or not isinstance(node.func, ast.Attribute)
        or (b"Session(" not in source.data and b"session(" not in source.data and given is None)
    ):
        return ""
    maker = source.made_by(node.func.value)
    if maker in facts["sessions"]:
        position = facts["sessions"][maker][name]
        changed = _is_adapted(source)
        return "default" if not changed and (position < 0 or len(node.args) <= position) else ""
    return "none" if given is not None and maker in unlimited["clients"] else ""


def _is_adapted(source: SourceFile) -> bool:
    """Whether the file gives its sessions a default timeout: through an adapter of its own, or by replacing a method."""
    for node in descendants(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="mount"), args=[_, adapter]) if (
                source.made_by(adapter) != "requests.adapters.HTTPAdapter"
            ):
                return True
            case ast.Assign(targets=[ast.Attribute(attr=name)]) if name in _VERBS or name == "send":
                return True
            case _:
                pass
    return False


def _is_local(node: ast.Call, source: SourceFile) -> bool:
    """Whether nothing is waited for: a ``file:`` or ``data:`` address, a transport inside the process, a global default."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith(("file:", "data:")):
        return True
    for keyword in node.keywords:
        if keyword.arg == "app" or (keyword.arg == "transport" and re.search(r"ASGI|WSGI|Mock", ast.unparse(keyword.value))):
            return True
    return b"setdefaulttimeout" in source.data


def _is_meant(node: ast.Call, source: SourceFile) -> bool:
    """Whether ``None`` is explained by a comment, or belongs to streams of events, which are silent by nature."""
    if any(mark in source.data for mark in _STREAMS):
        return True
    lines = source.lines[max(node.lineno - 2, 0) : node.end_lineno]
    return any(_ON_PURPOSE.search(line) for line in lines if "#" in line)


def _is_bounded(node: ast.Call, source: SourceFile) -> bool:
    """Whether something around the call ends it: ``async with asyncio.timeout(...)``, ``wait_for(...)``, an alarm."""
    for ancestor in source.ancestors(node):
        match ancestor:
            case ast.With(items=items) | ast.AsyncWith(items=items):
                if any(isinstance(item.context_expr, ast.Call) and called_name(item.context_expr) in _BOUNDS for item in items):
                    return True
            case ast.Call() if called_name(ancestor) in _BOUNDS - {"Timeout"}:
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return any("timeout" in ast.unparse(one) for one in ancestor.decorator_list)
            case _:
                pass
    return False


@rule(ast.While, hint=b"sleep", severity=Severity.MEDIUM, fix=MODEL)
def check_polling(node: ast.While, source: SourceFile) -> Iterator[Report]:
    """Report loops that ask for the state of remote work again and again, with no end when that state never comes."""
    if not (isinstance(node.test, ast.Constant) and node.test.value) or node.orelse:
        return
    nodes = list(own_nodes(node.body))
    sleeps = any(isinstance(one, ast.Call) and called_name(one) == "sleep" for one in nodes)
    if not sleeps or any(isinstance(one, ast.Yield | ast.YieldFrom) for one in nodes):
        return
    polled = _polled(nodes, source)
    done = next((one for one in nodes if isinstance(one, ast.If) and _asks_state(one, set(polled)) and _leaves(one.body)), None)
    if done is None or any(_CLOCK.search(name) for name in _names(nodes)) or is_test(source.path):
        return
    if any(bound in source.data for bound in (b"wait_for(", b".timeout(", b"fail_after(", b"move_on_after(")):
        return
    yield report(
        node,
        f"the loop asks `{polled[_subject(done, polled)]}(...)` until its answer is final, and has no end when that never comes: "
        "a lost job keeps this waiting for ever",
    )


def _polled(nodes: list[ast.AST], source: SourceFile) -> dict[str, str]:
    """Name -> the call that it is bound to in the loop, for awaited calls and, in files that import a network library, others."""
    remote = not _REMOTE.isdisjoint(origin.partition(".")[0] for origin in source.imports.values())
    found: dict[str, str] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Await(value=ast.Call() as call)):
                found[name] = dotted(call.func) or called_name(call)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if remote:
                found[name] = dotted(call.func) or called_name(call)
            case _:
                pass
    return found


def _asks_state(node: ast.If, polled: set[str]) -> bool:
    """Whether a condition compares something of a polled value with texts."""
    for test in descendants(node.test):
        match test:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.In()], comparators=[right]) if _is_text(right):
                return not polled.isdisjoint(one.id for one in descendants(left) if isinstance(one, ast.Name))
            case _:
                pass
    return False


def _is_text(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return bool(value.elts) and all(_is_text(one) for one in value.elts)
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and len(value.value) > 2


def _subject(node: ast.If, polled: dict[str, str]) -> str:
    return next(one.id for one in descendants(node.test) if isinstance(one, ast.Name) and one.id in polled)


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Break | ast.Raise)


def _names(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Store):
            yield node.attr
