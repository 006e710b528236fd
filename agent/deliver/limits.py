"""A forge's answer, and the time that it asks to wait: GitHub's primary and secondary limits, GitLab's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from fixbot.agent.deliver.fields import text

_SECONDARY = 60.0  # GitHub: wait at least a minute, then longer each time, where no time is given


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: ``data`` is the decoded JSON, None where there was no body."""

    status: int
    headers: Mapping[str, str]
    data: Any


def asked_to_wait(answer: Answer, now: float, limits: int) -> float | None:
    """Seconds to wait for a rate limit; None where the answer is about something else. ``limits``: how many were met before."""
    if answer.status not in (403, 429):
        return None
    headers = answer.headers
    if "retry-after" in headers and (pause := _seconds(headers["retry-after"], now)) is not None:
        return max(1.0, pause)
    for prefix in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{prefix}-reset", "")
        if headers.get(f"{prefix}-remaining") == "0" and reset.isascii() and reset.isdigit():
            return max(1.0, float(reset[:15]) - now + 1)
    said = text(answer.data, "message").lower()
    if answer.status == 429 or "rate limit" in said or "abuse detection" in said:
        return _SECONDARY * 2.0**limits
    return None


def _seconds(text: str, now: float) -> float | None:
    if text.isascii() and text.strip().isdigit():
        return float(text[:15])
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
