"""A real HTTP server on loopback that speaks Chat Completions, and every way in which one goes wrong.

    with serve(["first answer", failure(500), answer("second", usage=False)]) as server:
        model = connect(Endpoint(server.base_url, "test-model", Key("k")), Budget())
        ...
        assert server.requests[0].body["model"] == "test-model"

A script is a sequence with one step a request, the last of which repeats, or a callable that gets the request's body and gives a step.
A step is a text (a complete answer), or what one of the functions below makes. Answers are streamed where the request asks for it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Chat:
    """A choice of the protocol: ``message`` is merged into the message (or delta); ``usage`` None leaves the figures out."""

    message: Mapping[str, Any]
    finish: str | None = "stop"
    usage: Mapping[str, Any] | None = None
    choices: int = 1
    model: str = "test-model"


@dataclass(frozen=True, slots=True)
class Raw:
    """A reply byte for byte. ``delay`` are seconds before the first byte, ``drip`` seconds between the bytes of the body
    (of the headers too with ``drip_headers``), ``cut`` closes the connection after half of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay: float = 0
    drip: float = 0
    drip_headers: bool = False
    cut: bool = False


Step = str | Chat | Raw
Script = Sequence[Step] | Callable[[dict[str, Any]], Step]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and what it received so far."""

    base_url: str
    requests: list[Received]


def answer(
    text: str | None, *, finish: str | None = "stop", usage: bool | Mapping[str, Any] = True, cached: int = 0, **message: Any
) -> Chat:
    """A choice with a text, a finish reason, figures of usage, and further fields of the message (``refusal=``, ``tool_calls=``)."""
    figures = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": cached}}
    return Chat({"role": "assistant", "content": text, **message}, finish, figures if usage is True else usage or None)


def tool_call() -> Chat:
    """A call of a tool nobody offered."""
    call = {"id": "1", "index": 0, "type": "function", "function": {"name": "run", "arguments": "{"}}
    return answer(None, finish="tool_calls", tool_calls=[call])


def failure(status: int, message: str = "it failed", *, headers: Mapping[str, str] | None = None, **error: Any) -> Raw:
    """An error with a JSON body; ``error`` are further fields of it (``code=``, ``param=``). 429 with ``headers={"retry-after": "1"}``."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": None, **error}}
    return Raw(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


def refuse_parameter(name: str) -> Raw:
    """The 400 that names a parameter."""
    return failure(400, f"Unsupported parameter: '{name}' is not supported with this model.", param=name, code="unsupported_parameter")


def redirect(url: str) -> Raw:
    """A redirect that keeps the method."""
    return Raw(307, b"", {"Location": url})


def page() -> Raw:
    """An HTML page with status 200, as captive portals and proxies send it."""
    return Raw(200, b"<html><body><h1>Bad gateway</h1></body></html>", {"Content-Type": "text/html"})


def broken_json() -> Raw:
    """JSON that isn't."""
    return Raw(200, b'{"choices": [{"message": {"content": "x')


def broken_stream() -> Raw:
    """An event stream with broken JSON in it."""
    return Raw(200, b'data: {"choices": [{"index": 0, "delta": {"content": "x"\n\ndata: [DONE]\n\n', {"Content-Type": "text/event-stream"})


def bomb(size: int = 64 << 20) -> Raw:
    """A small body that decompresses to ``size`` bytes."""
    return Raw(200, gzip.compress(b" " * size, 1), {"Content-Type": "application/json", "Content-Encoding": "gzip"})


def whole(step: Step, stream: bool = False, **changes: Any) -> Raw:
    """An answer as bytes, to be sent with ``delay``, ``drip`` or ``cut``."""
    raw = _render(step, {"stream": stream, "stream_options": {"include_usage": True}})
    return Raw(raw.status, raw.body, raw.headers, **changes)


@contextlib.contextmanager
def serve(script: Script) -> Generator[Server]:
    """Serve a script until the block ends."""
    requests: list[Received] = []
    lock = threading.Lock()

    def step(received: Received) -> Step:
        with lock:
            requests.append(received)
            if callable(script):
                return script(received.body)
            return script[min(len(requests), len(script)) - 1]

    class Handler(_Handler):
        pick = staticmethod(step)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}/v1", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def nobody() -> Generator[str]:
    """A base URL whose port refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pick: Callable[[Received], Step]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        with contextlib.suppress(OSError):
            self._send(_render(type(self).pick(received), body))
        self.close_connection = True

    do_GET = do_POST

    def _send(self, raw: Raw) -> None:
        time.sleep(raw.delay)
        headers = {"Content-Length": str(len(raw.body)), "Connection": "close"} | dict(raw.headers)
        head = f"HTTP/1.1 {raw.status} Scripted\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self._write(head.encode("latin-1"), raw.drip if raw.drip_headers else 0)
        self._write(raw.body[: len(raw.body) // 2] if raw.cut else raw.body, raw.drip)

    def _write(self, data: bytes, drip: float) -> None:
        for piece in (bytes([byte]) for byte in data) if drip else (data,):
            self.wfile.write(piece)
            time.sleep(drip)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _render(step: Step, request: Mapping[str, Any]) -> Raw:
    if isinstance(step, Raw):
        return step
    chat = answer(step) if isinstance(step, str) else step
    if request.get("stream"):
        return Raw(200, _events(chat, request), {"Content-Type": "text/event-stream"})
    choices = [{"index": at, "message": chat.message, "finish_reason": chat.finish, "logprobs": None} for at in range(chat.choices)]
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": chat.model, "choices": choices}
    return Raw(200, json.dumps(body if chat.usage is None else body | {"usage": chat.usage}).encode())


def _events(chat: Chat, request: Mapping[str, Any]) -> bytes:
    content = chat.message.get("content") or ""
    options: Mapping[str, Any] = request.get("stream_options") or {}
    rest = {name: value for name, value in chat.message.items() if name != "content"}
    deltas = [rest, *({"content": content[at : at + 4000]} for at in range(0, len(content), 4000))]
    choices: list[list[dict[str, Any]]] = [
        [{"index": index, "delta": delta, "finish_reason": None} for index in range(chat.choices)] for delta in deltas
    ]
    if chat.finish is not None:
        choices.append([{"index": index, "delta": {}, "finish_reason": chat.finish} for index in range(chat.choices)])
    events: list[dict[str, Any]] = [
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": chat.model, "choices": choice} for choice in choices
    ]
    if chat.usage is not None and options.get("include_usage"):
        events.append(events[0] | {"choices": [], "usage": chat.usage})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
