"""What happens during a run, as it happens: one frozen class an event, one JSON line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Started:
    """A run begins (or goes on) on a commit."""

    run: str
    repository: str
    base: str
    sandbox: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage has done so much of its work; a ``total`` of 0 means unknown. The first event of a stage has ``done`` 0."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """The scan is over."""

    findings: int
    fixable: int
    files: int


@dataclass(frozen=True, slots=True)
class SuiteRan:
    """The target's suite ran, with so many patches applied; ``problem`` when it was no whole run."""

    label: str
    patches: int
    passed: int
    failed: int
    seconds: float
    problem: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A finding's fate is known."""

    finding: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A proven fix is a commit."""

    finding: str
    commit: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The branch is in the user's repository."""

    branch: str
    tip: str
    commits: int


Event = Started | Note | Progress | Found | SuiteRan | Decided | Committed | Delivered
Emit = Callable[[Event], None]


def to_json(event: Event) -> dict[str, Any]:
    """``{"event": "suite-ran", ...}``."""
    name = "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in type(event).__name__).lstrip("-")
    return {"event": name, **asdict(event)}
