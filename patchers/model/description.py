"""Ask a model to describe a fix for the person who reviews it. What it says is shown as its words and has no other effect."""

from __future__ import annotations

from fixbot.detectors.finding import Finding
from fixbot.patchers.model.context import fenced, plain
from fixbot.patchers.model.conversation import Spend, masked
from fixbot.patchers.model.messages import Message, Model, Request
from fixbot.patchers.model.secrets import unmask
from fixbot.prompts import load

MAX_WORDS = 1000  # characters that are kept of a description
_MAX_DIFF = 8000  # characters of the diff that are sent


def describe(finding: Finding, diff: str, model: Model) -> tuple[str, Spend]:
    """A description in one paragraph, and what it took. Raises ModelError."""
    place = f"{finding.path}:{finding.span.line}"
    told = f"# The finding\n\n{plain(finding.rule)} in {plain(place)}: {plain(finding.message)}"
    question = f"{told}\n\n# The diff\n\n{fenced(plain(diff[:_MAX_DIFF]))}"
    messages, secrets = masked((Message("system", load("pull-request")), Message("user", question)))
    reply = model.complete(Request(messages, "describe", finding.fingerprint, f"{finding.rule} {place}"))
    spend = Spend()
    spend.add(reply)
    words = " ".join(plain(unmask(reply.text, secrets)).split())
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 3] + "...", spend
