"""The last gate before the network: every attempt of a call passes here, whatever the library above it does.

Only the headers that the protocol needs leave, with the key for the one host it belongs to; the library adds headers from the
environment otherwise. Room in the budget is set aside for each attempt. What comes back is limited in size and time, counted after
decompression. Importing this module loads httpx2: import it inside functions.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from fixbot.patchers.model.budget import Budget, Estimate, Reservation
from fixbot.patchers.model.keys import Key, is_openai
from fixbot.patchers.model.messages import ReplyError, Request, Usage

_HEADERS = {"host", "accept", "content-type", "content-length", "user-agent"}
_OPENAI_HEADERS = {"openai-organization", "openai-project"}
_CONNECT_SECONDS = 10


def open_transport(base_url: str) -> httpx2.HTTPTransport:
    """A transport to one host: a connection of its own for each attempt, through the system's proxy where the URL is https."""
    logging.getLogger("httpcore2").setLevel(logging.INFO)  # below that it writes down headers of replies
    url = httpx2.URL(base_url)
    proxy = None
    if url.scheme == "https" and not proxy_bypass(url.host):
        proxy = getproxies().get("https") or getproxies().get("all")
    return httpx2.HTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0), proxy=proxy)


class Gate(httpx2.BaseTransport):
    """The attempts of one call. ``seconds`` is for all of them together, from the first one's start; ``most`` is in bytes of a reply.

    Raises ReplyError ("timeout", "too-large") and OverBudgetError through the library above, which tries neither again.
    """

    def __init__(
        self, inner: httpx2.BaseTransport, key: Key, budget: Budget, request: Request, estimate: Estimate, seconds: float, most: int
    ) -> None:
        self._inner, self._key, self._budget = inner, key, budget
        self._request, self._estimate = request, estimate
        self._seconds, self.most = seconds, most
        self._deadline: float | None = None
        self._pending: Reservation | None = None
        self.answered = False  # whether the last attempt got as far as a status of success
        self.used: list[Usage] = []

    def settle(self, usage: Usage | None) -> None:
        """Count what the last attempt used, where that has not been done. None: not known."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.used.append(self._budget.settle(pending, usage))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Make one attempt."""
        self.settle(None)  # an earlier attempt broke off after the endpoint had begun to work on it
        self.answered = False
        self.remaining()
        self._pending = self._budget.reserve(self._request, self._estimate)
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds
        watch = Watch(self.remaining())
        try:
            response = self._inner.handle_request(self._outgoing(request, watch))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol, httpx2.ProxyError):
            watch.stop()
            self.settle(Usage(0, 0))  # nothing was sent
            raise
        except httpx2.TransportError:
            watch.stop()
            self.remaining()
            raise
        except BaseException:
            watch.stop()
            raise
        self.answered = response.status_code < 300
        if not self.answered:
            self.settle(Usage(0, 0))
        headers = {name: value for name, value in response.headers.items() if name in ("content-type", "retry-after", "retry-after-ms")}
        if _wait(headers) > self.remaining(floor=0):
            headers["x-should-retry"] = "false"
        return httpx2.Response(response.status_code, headers=headers, stream=_Limited(response, watch, self))

    def remaining(self, floor: float | None = None) -> float:
        """Seconds left for this call. Raises ReplyError where there are none, unless a floor is given."""
        left = self._seconds if self._deadline is None else self._deadline - time.monotonic()
        if floor is not None:
            return max(floor, left)
        if left <= 0:
            raise ReplyError("timeout", f"no complete reply within {self._seconds:g} seconds")
        return left

    def close(self) -> None:
        """Nothing: the transport below is shared by all calls."""

    def _outgoing(self, request: httpx2.Request, watch: Watch) -> httpx2.Request:
        allowed = _HEADERS | (_OPENAI_HEADERS if is_openai(str(request.url.copy_with(query=None))) else set[str]())
        headers = {name: value for name, value in request.headers.items() if name in allowed}
        headers["accept-encoding"] = "identity"
        headers["connection"] = "close"
        if self._key:
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        left = self.remaining()
        timeout = {"connect": min(left, _CONNECT_SECONDS), "read": left, "write": left, "pool": left}
        extensions: dict[str, Any] = {"timeout": timeout, "trace": watch.trace}
        return httpx2.Request(request.method, request.url, headers=headers, content=request.read(), extensions=extensions)


class Watch:
    """Cuts a connection when the time is up: a peer that sends a byte now and then never meets a read timeout. ``late``: it is up."""

    def __init__(self, seconds: float) -> None:
        self._stream: Any = None
        self.late = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """Learn the connection from the transport's events."""
        if name.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = info.get("return_value")

    def stop(self) -> None:
        """The attempt has ended."""
        self._timer.cancel()
        self._stream = None

    def _cut(self) -> None:
        self.late = True
        connection = self._stream.get_extra_info("socket") if self._stream is not None else None
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                # Not the method of an SSL socket: that one changes what the reading thread works with.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Limited(httpx2.SyncByteStream):
    """The decoded bytes of a reply, as many as may come and as long as there is time."""

    def __init__(self, response: httpx2.Response, watch: Watch, gate: Gate) -> None:
        self._response, self._watch, self._gate = response, watch, gate

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        try:
            for chunk in self._response.iter_bytes():
                size += len(chunk)
                if size > self._gate.most:
                    raise ReplyError("too-large", f"the reply is larger than {self._gate.most >> 10:,} KiB")
                self._gate.remaining()
                yield chunk
        except httpx2.RequestError:
            self._gate.remaining()
            raise

    def close(self) -> None:
        self._watch.stop()
        self._response.close()


def _wait(headers: dict[str, str]) -> float:
    """Seconds that the endpoint asks to wait, 0 where it does not say so in seconds."""
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        with contextlib.suppress(KeyError, ValueError):
            return float(headers[name]) / scale
    return 0.0
