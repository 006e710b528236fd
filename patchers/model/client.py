"""A model behind an OpenAI-compatible endpoint (Chat Completions). The only module that imports openai."""

from __future__ import annotations

from dataclasses import dataclass

from fixbot.patchers.model.budget import Budget
from fixbot.patchers.model.keys import Key, take_key
from fixbot.patchers.model.messages import (
    EndpointError,
    Message,
    Model,
    ModelError,
    OverBudgetError,
    ReplayMissError,
    Reply,
    ReplyError,
    Request,
    Usage,
)

__all__ = [
    "Endpoint",
    "EndpointError",
    "Key",
    "Message",
    "Model",
    "ModelError",
    "OverBudgetError",
    "ReplayMissError",
    "Reply",
    "ReplyError",
    "Request",
    "Usage",
    "connect",
    "take_key",
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask.

    ``timeout`` is in seconds. ``stream``: ask for the reply piece by piece. ``enforces_schema``: the endpoint
    really holds replies to a JSON schema. ``allow_http``: plain http to a host that is neither loopback nor private.
    """

    base_url: str
    model: str
    key: Key
    max_output: int = 4096
    timeout: float = 120
    retries: int = 2
    temperature: float | None = None
    seed: int | None = None
    stream: bool = False
    enforces_schema: bool = False
    allow_http: bool = False


def connect(endpoint: Endpoint, budget: Budget) -> Model:
    """A model at an endpoint. Nothing is sent yet. Raises EndpointError for a URL that must not be used."""
    raise NotImplementedError
