"""Questions and answers as they are written down, and models that answer from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from fixbot.patchers.model.budget import Spent
from fixbot.patchers.model.messages import Kind, Message, Model, ReplayMissError, Reply, ReplyError, Request, Role, Usage
from fixbot.patchers.model.secrets import mask


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what came of it: a reply, or the kind and text of a ReplyError. Secrets are masked.

    ``hash`` is that of the messages as they were sent. ``cost`` is in USD, None without prices; ``seconds`` is how long it took.
    """

    hash: str
    sample: int
    purpose: str
    finding: str
    place: str
    messages: tuple[Message, ...]
    reply: str
    model: str
    usage: Usage
    cost: float | None
    seconds: float
    failure: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Exchange:
        """The reverse. Raises ValueError."""
        try:
            fields = dict(cast(Mapping[str, Any], value))
            fields["messages"] = tuple(_message(message) for message in fields["messages"])
            fields["usage"] = Usage(**fields["usage"])
            failure = fields.get("failure")
            fields["failure"] = None if failure is None else (failure[0], str(failure[1]))
            exchange = cls(**fields)
            _check(exchange)
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(f"not a recorded exchange ({type(error).__name__})") from error
        return exchange


def _message(value: Any) -> Message:
    message = Message(**value)
    if message.role not in get_args(Role) or not isinstance(cast(Any, message.content), str):
        raise ValueError("role or content")
    return message


def _check(exchange: Exchange) -> None:
    texts: tuple[Any, ...] = exchange.hash, exchange.purpose, exchange.finding, exchange.place, exchange.reply, exchange.model
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("text")
    counts: tuple[Any, ...] = exchange.sample, exchange.usage.prompt, exchange.usage.completion, exchange.usage.cached
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise TypeError("count")
    numbers: tuple[Any, ...] = exchange.seconds, exchange.cost or 0
    if not all(isinstance(number, int | float) and number >= 0 for number in numbers):
        raise TypeError("number")
    if exchange.failure is not None and exchange.failure[0] not in get_args(Kind):
        raise ValueError("kind")


def read_exchanges(path: Path) -> Iterator[Exchange]:
    """The exchanges of a JSON Lines file. Raises OSError, and ValueError with the line's number."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    yield Exchange.from_json(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: not a recorded exchange") from error


def write_exchanges(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write a JSON Lines file that only this user may read. Raises OSError."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(exchange.to_json()) + "\n" for exchange in exchanges)


def request_hash(messages: Iterable[Message]) -> str:
    """SHA-256 of a conversation, the same on every machine."""
    text = json.dumps([[message.role, message.content] for message in messages])
    return hashlib.sha256(text.encode()).hexdigest()


def total_spent(exchanges: Iterable[Exchange]) -> Spent:
    """What the exchanges of an earlier part of a run have used, to start a budget from. Retries are one call here."""
    calls, prompt, completion, estimated = 0, 0, 0, False
    costs: list[float] = []
    findings: dict[str, tuple[int, float]] = {}
    for one in exchanges:
        calls, prompt, completion = calls + 1, prompt + one.usage.prompt, completion + one.usage.completion
        estimated = estimated or one.usage.estimated
        costs += [] if one.cost is None else [one.cost]
        tokens, cost = findings.get(one.finding, (0, 0.0))
        findings[one.finding] = tokens + one.usage.prompt + one.usage.completion, cost + (one.cost or 0)
    return Spent(calls, prompt, completion, sum(costs) if costs else None, estimated, findings)


class Recording:
    """Answers what is known already, asks ``inner`` for the rest and saves that: replies, and failures that concern one reply.

    The reply given back is the one saved, with its secrets masked: a run and its replay see the same. ``save`` may be called from
    several threads.
    """

    def __init__(self, inner: Model, known: Iterable[Exchange], save: Callable[[Exchange], None]) -> None:
        self._inner, self._save = inner, save
        self._known = _by_identity(known)
        self._asked: dict[tuple[str, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Reply:
        """The answer. Raises ModelError."""
        identity = request_hash(request.messages), request.sample
        with self._lock:
            asked = self._asked.setdefault(identity, threading.Lock())
        with asked:  # the same question from two threads is asked once
            exchange = self._known.get(identity)
            if exchange is None:
                exchange = self._ask(request, identity[0])
                self._save(exchange)
                self._known[identity] = exchange
        return _answer(exchange)

    def _ask(self, request: Request, digest: str) -> Exchange:
        try:
            reply, failure = self._inner.complete(request), None
        except ReplyError as error:
            reply, failure = Reply("", "", error.usage, error.cost, 0.0), (error.kind, str(error))
        secrets: Mapping[str, str] = {}
        messages: list[Message] = []
        for message in request.messages:
            masked = mask(message.content, secrets)
            secrets = masked.secrets
            messages.append(Message(message.role, masked.text))
        text = mask(reply.text, secrets).text
        return Exchange(
            digest, request.sample, request.purpose, request.finding, request.place, tuple(messages),
            text, reply.model, reply.usage, reply.cost, reply.seconds, failure,
        )  # fmt: skip


class Replay:
    """Answers from a recorded run, and from nothing else."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._known = _by_identity(exchanges)

    def complete(self, request: Request) -> Reply:
        """The answer. Raises ReplayMissError, or the ReplyError that was recorded."""
        digest = request_hash(request.messages)
        exchange = self._known.get((digest, request.sample))
        if exchange is None:
            what = f"{request.purpose} of {request.place}, prompt {digest[:12]}, sample {request.sample}"
            raise ReplayMissError(f"the recording holds no answer to {what}: the prompt has changed since it was made")
        return _answer(exchange)


def _by_identity(exchanges: Iterable[Exchange]) -> dict[tuple[str, int], Exchange]:
    known: dict[tuple[str, int], Exchange] = {}
    for exchange in exchanges:
        known.setdefault((exchange.hash, exchange.sample), exchange)
    return known


def _answer(exchange: Exchange) -> Reply:
    if exchange.failure is not None:
        kind, message = exchange.failure
        raise ReplyError(cast(Kind, kind), message, exchange.usage, exchange.cost)
    return Reply(exchange.reply, exchange.model, exchange.usage, exchange.cost, exchange.seconds)
