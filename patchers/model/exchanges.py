"""Questions and answers as they are written down, and models that answer from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixbot.patchers.model.messages import Message, Model, Reply, Request, Usage


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what came of it: a reply, or the kind and text of a ReplyError."""

    hash: str
    sample: int
    purpose: str
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
        raise NotImplementedError

    @classmethod
    def from_json(cls, value: Any) -> Exchange:
        """The reverse. Raises ValueError."""
        raise NotImplementedError


def read_exchanges(path: Path) -> Iterator[Exchange]:
    """The exchanges of a JSON Lines file. Raises OSError, ValueError (with the line's number)."""
    raise NotImplementedError


def request_hash(messages: Iterable[Message]) -> str:
    """SHA-256 of a conversation, the same on every machine."""
    raise NotImplementedError


class Recording:
    """Answers what is known already, asks ``inner`` for the rest, and saves that."""

    def __init__(self, inner: Model, known: Iterable[Exchange], save: Callable[[Exchange], None]) -> None:
        raise NotImplementedError

    def complete(self, request: Request) -> Reply:
        """The answer. Raises ModelError."""
        raise NotImplementedError


class Replay:
    """Answers from a recorded run, and from nothing else."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        raise NotImplementedError

    def complete(self, request: Request) -> Reply:
        """The answer. Raises ReplayMissError, or the ReplyError that was recorded."""
        raise NotImplementedError
