"""A model behind an OpenAI-compatible endpoint (Chat Completions). The only module that imports openai."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fixbot.patchers.model.answers import Answer, read_answer, read_stream
from fixbot.patchers.model.budget import Budget, Estimate
from fixbot.patchers.model.keys import Key, check_key, check_url, is_openai, take_key
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
from fixbot.patchers.model.secrets import mask

if TYPE_CHECKING:
    import openai

    from fixbot.patchers.model.transport import Gate

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

logger = logging.getLogger(__name__)

_MOST_BYTES = 2 << 20
_CHUNK_BYTES = 1 << 10  # what one token may take in a stream, with the JSON around it
_FRAME_BYTES, _MESSAGE_BYTES = 128, 16  # what chat templates add to a prompt, generously
_LEAST_KEY = 16  # characters of a key that is worth hiding
_OPTIONAL = ("temperature", "response_format", "seed", "stream_options")
_LIMITS = ("max_tokens", "max_completion_tokens")
_TOO_LONG = re.compile(r"context[ _](length|window|size)|maximum context|(prompt|input) is too long|too many (input )?tokens", re.I)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask.

    ``timeout`` is in seconds, for a whole call with its retries. ``stream``: ask for the reply piece by piece. ``enforces_schema``: the
    endpoint really holds replies to a JSON schema. ``allow_http``: plain http to a host that is neither loopback nor private.
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
    """A model at an endpoint. Nothing is sent yet. Raises EndpointError for a URL or key that must not be used."""
    check_url(endpoint.base_url, endpoint.allow_http)
    check_key(endpoint.key)
    return _Client(endpoint, budget)


class _RefusedParameter(Exception):
    """The endpoint names a parameter that it does not take."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Client:
    def __init__(self, endpoint: Endpoint, budget: Budget) -> None:
        from fixbot.patchers.model.transport import open_transport

        self._endpoint, self._budget = endpoint, budget
        self._transport = open_transport(endpoint.base_url)
        # Of the two names of the output limit OpenAI takes the newer one, other servers know the older.
        self._refused = frozenset({_LIMITS[0] if is_openai(endpoint.base_url) else _LIMITS[1]})
        self._switched, self._lock = False, threading.Lock()

    def complete(self, request: Request) -> Reply:
        from fixbot.patchers.model.transport import Gate

        end, start = self._endpoint, time.monotonic()
        most = _MOST_BYTES + (_CHUNK_BYTES * end.max_output if end.stream else 0)
        gate = Gate(self._transport, end.key, self._budget, request, _estimate(request, end.max_output), end.timeout, most)
        try:
            answer = self._ask(request, gate)
            gate.settle(answer.usage)
            if answer.failure is not None:
                raise ReplyError(*answer.failure)
        except ReplyError as error:
            gate.settle(None)
            error.usage = _total(gate.used)
            error.cost = self._budget.cost(error.usage)
            logger.debug("%s: %s", request.place, error)
            raise
        finally:
            gate.settle(None)
        usage, seconds = _total(gate.used), time.monotonic() - start
        logger.debug("%s: %d + %d tokens, %.1f s", request.place, usage.prompt, usage.completion, seconds)
        return Reply(_without_key(answer.text, end.key), answer.model or end.model, usage, self._budget.cost(usage), seconds)

    def _ask(self, request: Request, gate: Gate) -> Answer:
        """Ask, without the parameters that the endpoint is known to refuse; once more for each that it names only now."""
        while True:
            refused = self._refused
            try:
                return self._send(request, gate, refused)
            except _RefusedParameter as error:
                self._learn(error.name, refused)

    def _learn(self, name: str, refused: frozenset[str]) -> None:
        with self._lock:
            if name in self._refused - refused:
                return  # another thread was told the same
            logger.debug("the endpoint does not take %s", name)
            if name in _LIMITS:
                if self._switched:  # without either of the two nothing bounds what a reply may cost
                    raise EndpointError(f"the endpoint refuses {_LIMITS[0]} and {_LIMITS[1]}: lower the output limit?") from None
                self._switched = True
                self._refused -= frozenset(_LIMITS)
            self._refused |= {name}

    def _send(self, request: Request, gate: Gate, refused: frozenset[str]) -> Answer:
        import httpx2
        import openai

        end = self._endpoint
        parameters = {name: value for name, value in _parameters(end, request).items() if name not in refused}
        with httpx2.Client(transport=gate, follow_redirects=False, trust_env=False) as http:
            client = openai.OpenAI(
                api_key="none", base_url=end.base_url, http_client=http, max_retries=end.retries, timeout=end.timeout
            )  # the gate puts the key in
            try:
                return _read(client, parameters)
            except openai.APIStatusError as error:
                failure = _status_failure(error, end, frozenset(parameters))
            except openai.APITimeoutError as error:
                failure = _timeout(error, end)
            except openai.APIConnectionError as error:
                failure = _lost(error, gate)
            except openai.APIError:
                failure = ReplyError("server", "the endpoint reports an error in the middle of its reply")
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                failure = ReplyError("malformed", "the reply is not what the protocol says")
        raise failure  # out here, so that no body of a reply hangs on it as its context


def _read(client: openai.OpenAI, parameters: Mapping[str, Any]) -> Answer:
    create = cast(Any, client.chat.completions.create)
    if not parameters.get("stream"):
        return read_answer(_plain(create(**parameters)))
    with create(**parameters) as stream:
        return read_stream(_chunks(stream))


def _chunks(stream: Iterable[Any]) -> Iterator[Any]:
    for chunk in stream:
        yield _plain(chunk)


def _plain(value: Any) -> Any:
    """JSON again: the library builds its objects without checking the values."""
    return value.model_dump(warnings=False) if hasattr(value, "model_dump") else value


def _parameters(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """All that a request could carry; of ``_LIMITS`` both."""
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    parameters: dict[str, Any] = {"model": endpoint.model, "messages": messages, **dict.fromkeys(_LIMITS, endpoint.max_output)}
    if endpoint.temperature is not None:
        parameters["temperature"] = endpoint.temperature
    if endpoint.seed is not None:
        parameters["seed"] = endpoint.seed + request.sample
    if endpoint.enforces_schema and request.schema is not None:
        schema = {"name": "reply", "schema": dict(request.schema), "strict": True}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    if endpoint.stream:
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
    return parameters


def _estimate(request: Request, max_output: int) -> Estimate:
    size = sum(len(message.content.encode("utf-8", "replace")) + _MESSAGE_BYTES for message in request.messages)
    schema = len(json.dumps(request.schema)) if request.schema is not None else 0
    return Estimate(size + schema + _FRAME_BYTES, max_output)


def _total(usages: Iterable[Usage]) -> Usage:
    total = Usage(0, 0)
    for one in usages:
        prompt, completion, cached = total.prompt + one.prompt, total.completion + one.completion, total.cached + one.cached
        total = Usage(prompt, completion, cached, total.estimated or one.estimated)
    return total


def _status_failure(error: openai.APIStatusError, endpoint: Endpoint, sent: frozenset[str]) -> Exception:
    status, (code, parameter, message) = error.status_code, _details(error.body)
    if status < 400:
        return EndpointError(f"the endpoint redirects ({status}), which is not followed with a key: give the final base URL")
    if status in (401, 403):
        return EndpointError(f"the endpoint rejects the key ({status})" if endpoint.key else f"the endpoint asks for a key ({status})")
    if status == 402 or code == "insufficient_quota":
        return EndpointError(f"the account at the endpoint is used up ({status})")
    if status == 404 or code == "model_not_found":
        return EndpointError(f"the endpoint does not know the model {endpoint.model}, or has no chat completions ({status})")
    if status == 413 or "context_length" in code or "context_size" in code or (status in (400, 422) and _TOO_LONG.search(message)):
        return ReplyError("context-too-long", f"the prompt is too long for the model ({status})")
    if code == "content_filter":
        return ReplyError("filtered", "the endpoint's content filter refuses the prompt")
    if status in (400, 422):
        named = [name for name in (*_LIMITS, *_OPTIONAL) if name in sent and (name == parameter or re.search(rf"\b{name}\b", message))]
        if named:
            return _RefusedParameter(parameter if parameter in named else named[0])
        return ReplyError("malformed", f"the endpoint refuses the request ({status}){_excerpt(message, endpoint.key)}")
    if status == 429:
        return ReplyError("rate-limit", "the endpoint's rate limit is reached (429)")
    if status == 408:
        return ReplyError("timeout", "the endpoint gave up waiting (408)")
    return ReplyError("server", f"the endpoint failed ({status})")


def _details(body: object) -> tuple[str, str, str]:
    """Code or type, parameter and message of an error body; the shapes of several servers."""
    if not isinstance(body, Mapping):
        return "", "", str(body or "")[:2000]
    fields = cast(Mapping[str, Any], body)
    code, parameter, message = fields.get("code"), fields.get("param"), fields.get("message")
    if not isinstance(code, str):
        code = fields.get("type")
    if not isinstance(message, str):
        message = json.dumps(dict(fields), default=str)
    return str(code or ""), str(parameter or ""), message[:2000]


def _without_key(text: str, key: Key) -> str:
    """A text without the key, should the endpoint repeat it; shorter ones are placeholders such as "none"."""
    return text.replace(key.reveal(), "<key>") if len(key.reveal()) >= _LEAST_KEY else text


def _excerpt(message: str, key: Key) -> str:
    """The endpoint's own words, cut and cleaned for one line."""
    text = mask(_without_key(message, key)).text
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return f": {text[:120]}" if text and "<html" not in text.lower() else ""


def _timeout(error: openai.APITimeoutError, endpoint: Endpoint) -> ModelError:
    if type(error.__cause__).__name__ == "ConnectTimeout":
        return EndpointError("the endpoint does not accept connections (timeout)")
    return ReplyError("timeout", f"no complete reply within {endpoint.timeout:g} seconds")


def _lost(error: openai.APIConnectionError, gate: Gate) -> ModelError:
    cause = type(error.__cause__).__name__
    if cause in ("ConnectError", "ProxyError", "UnsupportedProtocol"):
        return EndpointError(f"the endpoint cannot be reached{_excerpt(str(error.__cause__), Key())}")
    if cause == "DecodingError":
        return ReplyError("malformed", "the reply cannot be decompressed")
    if gate.answered:
        return ReplyError("cut-off", "the connection was lost in the middle of the reply")
    return ReplyError("server", "the connection was lost before a reply came")
