"""What is asked of a model and what comes back; the ways in which that fails.

ModelError           one line for a report: no key, no credentials of a URL, no body of a reply
|-- EndpointError    the endpoint is of no use for the rest of the run
|-- ReplyError       this one answer is of no use; ``kind`` says how
|-- OverBudgetError  the call was not made: it could have exceeded a limit
`-- ReplayMissError  a recorded run holds no answer to this prompt
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant"]
Kind = Literal[
    "cut-off",  # the reply ended before the model had finished
    "filtered",  # a content filter of the endpoint held it back
    "refusal",  # the model declines
    "empty",  # no text: no choices, null content, a tool call instead of an answer
    "too-large",  # more bytes than a reply may have
    "malformed",  # not what the protocol says: HTML, broken JSON, a redirect
    "timeout",
    "server",  # 5xx, or the connection was lost, after all retries
    "context-too-long",  # the prompt exceeds the model's context: shrink it
    "rate-limit",  # 429 after all retries
]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question.

    ``purpose`` is "fix", "repair", "proof" or "describe". ``finding`` is a fingerprint, the key of the per-finding budget. ``place`` is
    "rule path:line", for people and for scripted replies; it is not sent. ``sample`` is the candidate's number, part of the exchange's
    identity. ``schema`` is a JSON schema, used only where the endpoint's profile says that it is enforced.
    """

    messages: tuple[Message, ...]
    purpose: str
    finding: str
    place: str
    sample: int = 0
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. ``cached`` is the part of ``prompt`` that the endpoint had in its cache. ``estimated``: it sent no figures."""

    prompt: int
    completion: int
    cached: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer. ``model`` is what the endpoint says it used. ``usage`` and ``cost`` (USD, None without prices) are those of
    all attempts together."""

    text: str
    model: str
    usage: Usage
    cost: float | None
    seconds: float


class Model(Protocol):
    """Whatever answers: an endpoint, a recording, a script. May be called from several threads."""

    def complete(self, request: Request) -> Reply:
        """The answer. Raises ModelError."""
        ...


class ModelError(Exception):
    """No usable answer. The text is one clean line for a report."""


class EndpointError(ModelError):
    """The endpoint is of no use for the rest of the run: refused, 401, 403, model not found, unknown host."""


class ReplyError(ModelError):
    """This one answer is of no use. ``usage`` and ``cost`` (USD) are what it used all the same."""

    def __init__(self, kind: Kind, message: str, usage: Usage | None = None, cost: float | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.usage, self.cost = usage or Usage(0, 0), cost

    def __reduce__(self) -> tuple[type[ReplyError], tuple[Kind, str, Usage, float | None]]:
        return ReplyError, (self.kind, str(self), self.usage, self.cost)


class OverBudgetError(ModelError):
    """The call was not made: it could have exceeded a limit."""


class ReplayMissError(ModelError):
    """The recorded run holds no answer to this prompt."""
