"""A forge on loopback: one bare git repository over HTTP, joined with a fake of the forge's REST API that reads its branches.

    with github_rig(tmp_path, {"a.py": "x = 1\\n"}) as rig:      # gitlab_rig: the same
        rig.api, rig.server, rig.name, rig.token                 # what a client is given
        rig.clone_url, rig.bare                                  # git: over HTTP, and the repository on disk
        rig.fail(r"POST .*/pulls$", cut="after")                 # the pull request is made, its answer is lost
        rig.fail(r"git-receive-pack", status=503, times=2)       # git's requests are faulted alike
        rig.forge.merge(1, "squash"); rig.forge.close(2); rig.forge.say(1, "ann", "no")     # what people do
        rig.asked                                                # every request so far

Where FIXBOT_GITHUB_OPENAPI names GitHub's own description (api.github.com.json), each request to the GitHub fake is checked
against it and a violation fails the test.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from forge_contract import Contract, contract
from forge_repository import Bare


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a token is and what it may write; ``app``: one of an installation (as GITHUB_TOKEN is), which has no user."""

    login: str
    writes: frozenset[str] = frozenset({"contents", "pull_requests", "issues", "security_events"})
    app: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the forge. ``path`` is without the prefix of the API, ``body`` the decoded JSON (None for git's)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)
    token: Token | None
    target: str

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        return json.loads(self.raw or b"{}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: JSON, or bytes as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Fault:
    """What happens instead of an answer to the requests that ``match`` (``METHOD /path``, searched), after ``skip`` of them.

    ``status`` is sent without anything being done, or after it with ``acts``. ``cut``: "before" closes the connection at once,
    "after" when the request has been carried out, "middle" within the answer. ``delay`` is in seconds.
    """

    match: str
    status: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    times: int = 1
    skip: int = 0
    delay: float = 0
    cut: str = ""
    acts: bool = False


class Api(Protocol):
    """A forge's REST API on one repository."""

    prefix: str
    checked: bool
    tokens: dict[str, Token]

    def handle(self, request: Request) -> Reply:
        """The answer to a request."""
        ...


Forge = TypeVar("Forge", bound=Api)


class Rig(Generic[Forge]):
    """A running forge. ``forge`` is the state behind its API."""

    def __init__(self, forge: Forge, bare: Bare, name: str) -> None:
        self.forge, self.bare, self.name = forge, bare, name
        self.server = self.api = self.clone_url = ""
        self.token = next(iter(forge.tokens))
        self.faults: list[Fault] = []
        self.asked: list[tuple[Request, int]] = []
        self.violations: list[str] = []
        self.errors: list[str] = []
        self.contract: Contract | None = contract() if forge.checked else None
        self.lock = threading.RLock()

    def fail(self, match: str, status: int = 0, **more: Any) -> Fault:
        """Inject a fault; see Fault."""
        self.faults.append(Fault(match, status, **more))
        return self.faults[-1]

    def fault(self, request: Request) -> Fault | None:
        """The fault that a request meets."""
        for fault in self.faults:
            if fault.times > 0 and any(re.search(fault.match, f"{request.method} {text}") for text in (request.path, request.target)):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def sent(self, match: str) -> list[Request]:
        """The requests so far whose method and path match (searched)."""
        return [one for one, _ in self.asked if re.search(match, f"{one.method} {one.path}")]

    def hook(self, script: str) -> None:
        """Let a shell script decide about pushes, as a pre-receive hook."""
        hook = self.bare.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def answer(self, request: Request) -> Reply:
        """Carry out a request to the API or to git."""
        if request.path.startswith(f"/{self.name}.git/"):
            return self._git(request)
        if not urlsplit(request.target).path.startswith((self.forge.prefix, "/api/graphql")):
            return Reply(404, {"message": "Not Found"})
        if self.contract is not None and (broken := self.contract.check(request)):
            self.violations.append(f"{request.method} {request.target}: {broken}")
        with self.lock:
            return self.forge.handle(request)

    def _git(self, request: Request) -> Reply:
        service = request.query.get("service") or request.path.rpartition("/")[2]
        if request.token is None:
            return Reply(401, b"auth\n", {"WWW-Authenticate": 'Basic realm="git"'})
        if service == "git-receive-pack" and "contents" not in request.token.writes:
            return Reply(403, f"remote: Permission to {self.name}.git denied to {request.token.login}.\n".encode())
        inside = request.path.removeprefix(f"/{self.name}.git")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.bare.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "REMOTE_USER": request.token.login,
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": inside,
            "QUERY_STRING": urlsplit(request.target).query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.raw)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=request.raw, capture_output=True, env=env, check=False)
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        return Reply(int(headers.pop("Status", "200").split()[0]), data, headers)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    rig: Rig[Any]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def handle_one_request(self) -> None:
        """Answer one request; a client that went away is no error."""
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True
        except Exception as error:
            self.rig.errors.append(repr(error))
            raise

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _request(self) -> Request:
        raw, url = self._read(), urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            secret = base64.b64decode(secret).decode().partition(":")[2]
        path = url.path.removeprefix(self.rig.forge.prefix)
        return Request(self.command, path, dict(parse_qsl(url.query)), headers, raw, self.rig.forge.tokens.get(secret), self.path)

    def do_GET(self) -> None:
        """Any method: meet a fault, or be answered."""
        request, rig = self._request(), self.rig
        with rig.lock:
            fault = rig.fault(request)
        if fault:
            time.sleep(fault.delay)
        acts = fault is None or fault.acts or fault.cut in ("after", "middle") or not (fault.status or fault.cut)
        reply = rig.answer(request) if acts else Reply(0)
        if fault and fault.status:
            body = {"message": "injected"} if fault.body is None else fault.body
            reply = Reply(fault.status, body, fault.headers)
        rig.asked.append((request, reply.status))
        self._send(reply, fault.cut if fault else "")

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _send(self, reply: Reply, cut: str) -> None:
        if cut in ("before", "after"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode() if reply.body is not None else b""
        self.send_response(reply.status)
        plain = {} if isinstance(reply.body, bytes) else {"Content-Type": "application/json; charset=utf-8"}
        for name, value in {**plain, **reply.headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut == "middle" else data)
        if cut:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    """A server whose connections are encrypted where there is a certificate."""

    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; hands are shaken in its own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address


@contextlib.contextmanager
def serve(rig: Rig[Forge], tls: ssl.SSLContext | None = None) -> Generator[Rig[Forge]]:
    """Run a forge on a free port of loopback, over https with ``tls``. Fails where a request broke the contract or the fake itself did."""
    handler = type("Bound", (Handler,), {"rig": rig})
    server = _Server(("127.0.0.1", 0), handler)
    server.tls = tls
    rig.server = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    rig.api, rig.clone_url = rig.server + rig.forge.prefix, f"{rig.server}/{rig.name}.git"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield rig
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not rig.violations, rig.violations
    assert not rig.errors, rig.errors
