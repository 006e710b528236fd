"""The one way to a forge's REST API: to one host, with the token in a header, limited in size and time, polite about limits.

What a forge asks to wait is waited for where the time allows. Reads and repeatable writes are tried again after an error of the
server or a lost connection; another write never is: ``Unsure`` tells that it may have been carried out. Importing this module loads
httpx2: import it inside functions.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import httpx2

from fixbot.agent.deliver.limits import Answer, asked_to_wait
from fixbot.agent.deliver.tokens import forms, masked, told
from fixbot.agent.errors import ForgeError
from fixbot.patchers.model.keys import Key, check_url
from fixbot.patchers.model.messages import EndpointError
from fixbot.patchers.model.transport import Watch, open_transport

logger = logging.getLogger(__name__)

_MOST = 32 << 20  # bytes of an answer
_ATTEMPT = 60.0  # seconds for one request
_CONNECT = 10.0
_REDIRECTS = 3
_BACKOFF = (1.0, 4.0, 15.0)  # seconds before a request that failed is tried again

_T = TypeVar("_T")


class Refused(ForgeError):
    """The forge said no: ``status`` and its own ``words``, ``data`` what it sent. Nothing was done."""

    def __init__(self, message: str, cure: str, status: int, words: str, data: Any) -> None:
        super().__init__(message, cure)
        self.status, self.words, self.data = status, words, data


class Unsure(ForgeError):
    """Whether a write was carried out is not known: the connection was cut, or the server had an error."""


Explain = Callable[[str, str, Answer], tuple[str, str]]
"""From method, path and the answer that refused: the forge's words and what to do about it."""


@dataclass(frozen=True, slots=True)
class Manners:
    """``gap``: seconds between two writes. ``seconds``: all time that a client may spend, waits included. ``backoff``: seconds before
    each further attempt after an error. The clocks are for tests.
    """

    gap: float = 1.0
    seconds: float = 300.0
    backoff: tuple[float, ...] = _BACKOFF
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


@dataclass(slots=True)
class Client:
    """A forge's API. ``base`` is its address; ``headers`` go with every request, and so does the token, as a bearer. ``notes`` are
    sentences for a person, on what was not done in full.

    Every method raises ForgeError: Refused, Unsure, or one that says when to come back.
    """

    base: str
    key: Key
    headers: Mapping[str, str]
    explain: Explain
    manners: Manners = field(default_factory=Manners)
    notes: list[str] = field(default_factory=list[str])
    _spent: float = 0.0
    _wrote: float | None = None
    _transport: httpx2.HTTPTransport = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            check_url(self.base)
        except EndpointError as error:
            raise ForgeError(f"the address of the forge's API cannot be used: {error}", "set it to https://HOST/PATH") from None
        self.base = self.base.rstrip("/")
        self._transport = open_transport(self.base)  # it keeps no connection, so there is none to close

    def get(self, path: str, **query: str | int) -> Any:
        """The decoded answer to a read."""
        return self._ask("GET", self._url(path, query), None, repeatable=True).data

    def pages(self, path: str, most: int, **query: str | int) -> Iterator[list[Any]]:
        """The pages of a list, at most ``most``, as the forge links them. Raises ForgeError for a link to another host."""
        url: str | None = self._url(path, {"per_page": 100, **query})
        for _ in range(most):
            answer = self._ask("GET", url, None, repeatable=True)
            if not isinstance(answer.data, list):
                raise ForgeError(f"{self._name('GET', url)}: the forge sent no list", "see whether the API's address is right")
            yield cast("list[Any]", answer.data)
            url = self._next(url, answer.headers)
            if url is None:
                return
        self.notes.append(f"only the first {most * 100:,} entries of {self._name('GET', self._url(path, {}))} were read")

    def write(self, method: str, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> Answer:
        """Carry out a write, ``gap`` seconds after the last one. ``repeatable``: doing it twice is the same as doing it once."""
        if self._wrote is not None and (pause := self._wrote + self.manners.gap - self.manners.clock()) > 0:
            self._wait(pause, "between two writes")
        try:
            return self._ask(method, self._url(path, {}), json.dumps(body).encode(), repeatable=repeatable)
        finally:
            self._wrote = self.manners.clock()

    def once(self, find: Callable[[], _T | None], make: Callable[[], _T]) -> _T:
        """What is found, or else made; where it is not known whether making it worked, by looking again."""
        found, attempt = find(), 0
        while found is None:
            try:
                return make()
            except Unsure as unsure:
                if not self.pause(attempt):
                    raise ForgeError(unsure.message, unsure.cure) from None
            attempt += 1
            found = find()
        return found

    def pause(self, attempt: int) -> bool:
        """Wait before looking once more after attempt ``attempt`` (from 0); False when that was the last."""
        if attempt >= len(self.manners.backoff):
            return False
        self._wait(self.manners.backoff[attempt], "after an error")
        return True

    def _url(self, path: str, query: Mapping[str, str | int]) -> str:
        return self.base + path + (f"?{urlencode(query)}" if query else "")

    def _name(self, method: str, url: str) -> str:
        return told(f"{method} {url.partition('?')[0].removeprefix(self.base)}", forms(self.key.reveal()))

    def _ask(self, method: str, url: str, body: bytes | None, *, repeatable: bool) -> Answer:
        failures = limits = 0
        while True:
            try:
                answer = self._follow(method, url, body)
            except (Unsure, httpx2.RequestError) as error:
                failed = self._lost(method, url, error)
                if not repeatable and not _unsent(error):
                    raise failed from None
                if not self.pause(failures):
                    raise ForgeError(failed.message, failed.cure) from None
                failures += 1
                continue
            if answer.status < 300:
                return answer
            pause = asked_to_wait(answer, self.manners.now(), limits)
            if pause is None:
                raise self._refused(method, url, answer)
            limits += 1
            self._wait(pause, "at the forge's rate limit")

    def _refused(self, method: str, url: str, answer: Answer) -> Refused:
        secrets = forms(self.key.reveal())
        data = masked(answer.data, secrets)
        words, cure = self.explain(method, url.partition("?")[0].removeprefix(self.base), replace(answer, data=data))
        words = told(words, secrets)
        return Refused(f"{self._name(method, url)}: {answer.status} {words}", cure, answer.status, words, data)

    def _lost(self, method: str, url: str, error: Exception) -> Unsure:
        reason = error.message if isinstance(error, Unsure) else told(error or type(error).__name__, forms(self.key.reveal()))
        logger.info("%s: %s", self._name(method, url), reason)
        cure = "the forge cannot be reached or has an error of its own: try again later"
        if "certificate" in reason.lower():
            cure = "see the server's certificate; an authority of your own: SSL_CERT_FILE"
        return Unsure(f"{self._name(method, url)}: {reason}", cure)

    def _follow(self, method: str, url: str, body: bytes | None) -> Answer:
        answer = self._once(method, url, body)
        for _ in range(_REDIRECTS):
            if answer.status not in (301, 302, 307, 308):
                break
            url = self._same_host(url, answer.headers.get("location", ""))
            answer = self._once(method, url, body)
        if 300 <= answer.status < 400:
            raise ForgeError(f"{self._name(method, url)}: the forge redirects ({answer.status}) to no end", "check the repository's name")
        if answer.status >= 500:
            raise Unsure(f"the server had an error ({answer.status})")
        return answer

    def _same_host(self, url: str, target: str) -> str:
        try:
            there = httpx2.URL(url).join(target)
        except (httpx2.InvalidURL, ValueError):
            there = httpx2.URL("")
        here = httpx2.URL(self.base)
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port) or there.userinfo:
            raise ForgeError(
                f"{self._name('GET', url)}: the forge points to another address, {told(target, forms(self.key.reveal()))}",
                "give the address that the forge uses for itself",
            )
        return str(there)

    def _next(self, url: str, headers: Mapping[str, str]) -> str | None:
        links = httpx2.Response(200, headers={"link": headers.get("link", "")}).links
        target = links.get("next", {}).get("url")
        return self._same_host(url, target) if target else None

    def _once(self, method: str, url: str, body: bytes | None) -> Answer:
        """One request and its whole answer. Raises Unsure, ForgeError and httpx2.RequestError."""
        left = min(self._left(), _ATTEMPT)
        started = self.manners.clock()
        watch = Watch(left)
        headers = {**self.headers, "authorization": f"Bearer {self.key.reveal()}", "accept-encoding": "identity", "connection": "close"}
        if body is not None:
            headers["content-type"] = "application/json"
        timeout = {"connect": min(left, _CONNECT), "read": left, "write": left, "pool": left}
        request = httpx2.Request(method, url, headers=headers, content=body, extensions={"timeout": timeout, "trace": watch.trace})
        try:
            response = self._transport.handle_request(request)
            try:
                return self._read(method, url, response)
            finally:
                response.close()
        except httpx2.RequestError as error:
            if (watch.late or isinstance(error, httpx2.ReadTimeout)) and not _unsent(error):
                raise Unsure(f"no complete answer within {left:.1f} s") from None
            raise
        finally:
            watch.stop()
            self._spent += self.manners.clock() - started

    def _read(self, method: str, url: str, response: httpx2.Response) -> Answer:
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > _MOST:
                raise ForgeError(f"{self._name(method, url)}: the answer is larger than {_MOST >> 20} MiB", "see what the forge sends")
        logger.debug("%s: %d", self._name(method, url), response.status_code)
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            return Answer(response.status_code, headers, json.loads(data) if data.strip() else None)
        except (ValueError, RecursionError):
            if response.status_code >= 300:
                return Answer(response.status_code, headers, None)
        text = f"the answer ({response.status_code}) is not JSON"
        if method != "GET":
            raise Unsure(text)
        raise ForgeError(f"{self._name(method, url)}: {text}", "check the address of the API; a proxy or a login page may be in between")

    def _left(self) -> float:
        left = self.manners.seconds - self._spent
        if left <= 0:
            raise ForgeError(f"the forge took more than {self.manners.seconds:g} s", "run again later: what was done is found again")
        return left

    def _wait(self, pause: float, why: str) -> None:
        if pause >= self._left():
            then = time.strftime("%H:%M UTC", time.gmtime(self.manners.now() + min(pause, 1e9)))
            raise ForgeError(
                f"{why} fixbot would have to wait {pause:.0f} s, longer than it may",
                f"resume at {then}: run again then, what was done is found",
            )
        logger.log(logging.INFO if pause > 2 else logging.DEBUG, "%s: waiting %.0f s", why, pause)
        self.manners.sleep(pause)
        self._spent += pause


def _unsent(error: Exception) -> bool:
    return isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError | httpx2.PoolTimeout)
