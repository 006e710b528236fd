"""Read what an endpoint sent: nothing in it is trusted to have the shape that the protocol promises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from fixbot.patchers.model.messages import Kind, Usage

_COMPLETE = {"stop", "eos", "eos_token", "end_turn", "stop_sequence"}  # the protocol's word, and what other servers say
_FAILURES: dict[str, tuple[Kind, str]] = {
    "length": ("cut-off", "the reply was cut off at the output limit"),
    "content_filter": ("filtered", "the endpoint's content filter held the reply back"),
    "tool_calls": ("empty", "the model asks for a tool instead of answering"),
    "function_call": ("empty", "the model asks for a tool instead of answering"),
    "error": ("server", "the endpoint failed while it answered"),
}
_MOST_TEXT = 2 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the text, the model's name and the tokens used (None: no figures). ``failure`` says why the text is of no use."""

    text: str = ""
    model: str = ""
    usage: Usage | None = None
    failure: tuple[Kind, str] | None = None


def read_answer(body: Any) -> Answer:
    """The answer in the body of a reply (JSON, decoded). Never raises for a wrong shape."""
    if not isinstance(body, Mapping):
        return Answer(failure=("malformed", "the reply is not a JSON object of the Chat Completions protocol"))
    fields = cast(Mapping[str, Any], body)
    model, usage = _string(fields.get("model")), read_usage(fields.get("usage"))
    choices = _items(fields.get("choices"))
    if not choices:
        if fields.get("error"):
            return Answer(model=model, usage=usage, failure=("server", "the endpoint reports an error instead of a reply"))
        kind: Kind = "empty" if fields.get("choices") == [] else "malformed"
        return Answer(model=model, usage=usage, failure=(kind, "the reply has no choices"))
    message = _mapping(choices[0].get("message"))
    tool = bool(message.get("tool_calls") or message.get("function_call"))
    text, refusal = _string(message.get("content")), _string(message.get("refusal"))
    return _judge(text, refusal, choices[0].get("finish_reason"), tool, len(choices), model, usage)


def read_stream(chunks: Iterable[Any]) -> Answer:
    """The answer in the chunks of a streamed reply (JSON, decoded)."""
    pieces: list[str] = []
    refusals: list[str] = []
    model, usage, finish, tool, highest = "", None, None, False, -1
    for chunk in chunks:
        fields = _mapping(chunk)
        model = model or _string(fields.get("model"))
        usage = read_usage(fields.get("usage")) or usage
        for choice in _items(fields.get("choices")):
            index = choice.get("index")
            highest = max(highest, index if isinstance(index, int) else 0)
            delta = _mapping(choice.get("delta"))
            pieces.append(_string(delta.get("content")))
            refusals.append(_string(delta.get("refusal")))
            tool = tool or bool(delta.get("tool_calls") or delta.get("function_call"))
            finish = choice.get("finish_reason") or finish
    if highest < 0:
        return Answer(model=model, usage=usage, failure=("malformed", "the stream holds no reply"))
    return _judge("".join(pieces), "".join(refusals), finish, tool, highest + 1, model, usage)


def read_usage(value: Any) -> Usage | None:
    """The figures of a ``usage`` field, None where they are missing or make no sense."""
    fields = _mapping(value)
    prompt, completion = _count(fields.get("prompt_tokens")), _count(fields.get("completion_tokens"))
    if not prompt or completion is None:
        return None
    cached = _count(_mapping(fields.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(prompt, completion, min(cached, prompt))


def _judge(text: str, refusal: str, finish: Any, tool: bool, choices: int, model: str, usage: Usage | None) -> Answer:
    if usage is not None and text and not usage.completion:
        usage = None  # zeros are what some proxies send instead of nothing
    failure: tuple[Kind, str] | None = None
    if choices > 1:
        failure = "malformed", f"the reply has {choices} choices, one was asked for"
    elif refusal:
        failure = "refusal", "the model refuses to answer"
    elif finish in _FAILURES:
        failure = _FAILURES[finish]
    elif finish is None:
        failure = "cut-off", "the reply ended without a finish reason"
    elif finish not in _COMPLETE:
        failure = "malformed", "the reply ended for an unknown reason"
    elif not text.strip():
        failure = ("empty", "the model asks for a tool instead of answering" if tool else "the reply has no text")
    elif len(text) > _MOST_TEXT:
        failure = "too-large", "the reply is larger than 2 MiB"
    return Answer(re.sub("[\ud800-\udfff]", "\ufffd", text), model[:200], usage, failure)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in cast(list[Any], value)] if isinstance(value, list) else []


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
