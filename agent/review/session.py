"""The state of a review: what was decided about each finding of a run, what can be undone, what is shown. No input or output in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from fixbot.agent.decisions import Kind
from fixbot.agent.result import Outcome, Status, outcome_from_json
from fixbot.agent.verify.verdict import Grade


class Mark(StrEnum):
    """Where a finding stands in its review."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Muting(StrEnum):
    """What mutes a false positive for others than fixbot's own ledger: written when the accepted fixes are applied."""

    COMMENT = "comment"
    BASELINE = "baseline"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding in its review. ``outcome`` is the run's, or, where it was ``revised`` (edited, asked again, verified), this review's.

    ``kind``, ``reason`` and ``muting`` tell how it was rejected, ``applied`` where it was written to. A revised patch counts in the
    run's base.
    """

    outcome: Outcome
    mark: Mark = Mark.OPEN
    kind: Kind | None = None
    reason: str = ""
    muting: Muting = Muting.NOTHING
    revised: bool = False
    applied: str = ""

    @property
    def fingerprint(self) -> str:
        """The finding's."""
        return self.outcome.finding.fingerprint

    @property
    def grade(self) -> str:
        """How well its fix is proven, or why there is none: ``verified``, ``needs-model``."""
        verdict = self.outcome.verdict
        return str(verdict["grade"]) if self.outcome.status is Status.FIXED and verdict else self.outcome.status.value

    @property
    def status(self) -> str:
        """The mark in the words of the list."""
        if self.applied:
            return "applied"
        return self.kind.value if self.mark is Mark.REJECTED and self.kind else self.mark.value

    @property
    def obstacle(self) -> str:
        """Why its fix cannot be accepted, ``""`` when it can."""
        if self.outcome.patch is None:
            return "goes away with another fix" if self.outcome.status is Status.FIXED else "there is no fix to accept: e writes one"
        if self.outcome.status not in (Status.FIXED, Status.UNVERIFIABLE):
            return f"this fix was dropped ({self.outcome.reason}): e edits it"
        return ""

    @property
    def proven(self) -> bool:
        """Whether its fix passed the tests."""
        return self.outcome.status is Status.FIXED and self.outcome.patch is not None and self.grade != Grade.UNVERIFIABLE

    def to_json(self) -> dict[str, Any]:
        """Plain data; the outcome only where it is not the run's."""
        return {
            "mark": self.mark.value,
            "kind": self.kind.value if self.kind else None,
            "reason": self.reason,
            "muting": self.muting.value,
            "applied": self.applied,
            "outcome": self.outcome.to_json() if self.revised else None,
        }


def entry_from_json(outcome: Outcome, data: Mapping[str, Any]) -> Entry:
    """The inverse of ``to_json``, given the run's outcome. Raises KeyError, TypeError or ValueError on data of another shape."""
    return Entry(
        outcome_from_json(data["outcome"]) if data["outcome"] else outcome,
        Mark(data["mark"]),
        Kind(data["kind"]) if data["kind"] else None,
        data["reason"],
        Muting(data["muting"]),
        data["outcome"] is not None,
        data["applied"],
    )


Save = Callable[[Mapping[str, Entry]], str]
"""Writes entries down, by fingerprint. Returns why that cannot be, ``""`` when it is done."""


@dataclass(slots=True)
class Review:
    """All findings of a run, worst first, with what was decided. ``save`` is told of every change; ``problem`` is why it could not save."""

    entries: dict[str, Entry]
    save: Save
    query: str = ""
    problem: str = ""
    _past: list[dict[str, Entry]] = field(default_factory=list[dict[str, Entry]])

    # What is shown

    def shown(self) -> list[Entry]:
        """The entries that hold every word of ``query``."""
        words = self.query.casefold().split()
        return [one for one in self.entries.values() if all(word in _text(one) for word in words)]

    def counts(self) -> Counter[str]:
        """How many findings are in each status."""
        return Counter(one.status for one in self.entries.values())

    def next_open(self, after: str) -> str | None:
        """The first shown finding without a decision behind this one, else before it."""
        names = [one.fingerprint for one in self.shown()]
        place = names.index(after) + 1 if after in names else 0
        order = [*names[place:], *names[:place]]
        return next((name for name in order if self.entries[name].mark is Mark.OPEN), None)

    def pending(self) -> list[Entry]:
        """What is to be written when the accepted fixes are applied: those, and what mutes false positives."""
        return [one for one in self.entries.values() if not one.applied and (one.mark is Mark.ACCEPTED or one.muting is not Muting.NOTHING)]

    # Decisions

    def accept(self, name: str) -> str:
        """Accept a fix. Returns why that cannot be, ``""`` when it is done."""
        entry = self.entries[name]
        obstacle = entry.obstacle or bound(entry)
        if not obstacle:
            self._change([replace(entry, mark=Mark.ACCEPTED, kind=None, reason="", muting=Muting.NOTHING)])
        return obstacle

    def accept_rule(self, rule: str) -> int:
        """Accept the proven fixes of a rule that nothing was decided about. Returns how many there were."""
        open_ = [one for one in self.entries.values() if one.outcome.finding.rule == rule and one.proven and one.mark is Mark.OPEN]
        self._change(replace(one, mark=Mark.ACCEPTED) for one in open_)
        return len(open_)

    def reject(self, name: str, kind: Kind, reason: str = "", muting: Muting = Muting.NOTHING) -> str:
        """Reject a finding or its fix. Returns why that cannot be, ``""`` when it is done."""
        entry = self.entries[name]
        if not bound(entry):
            self._change([replace(entry, mark=Mark.REJECTED, kind=kind, reason=reason, muting=muting)])
        return bound(entry)

    def skip(self, name: str) -> str:
        """Leave a finding undecided. Returns why that cannot be, ``""`` when it is done."""
        entry = self.entries[name]
        if not bound(entry):
            self._change([replace(entry, mark=Mark.SKIPPED, kind=None, reason="", muting=Muting.NOTHING)])
        return bound(entry)

    def revise(self, name: str, outcome: Outcome) -> None:
        """Take another outcome: of an edited patch, of a model's new one, of a verification. What is no longer acceptable is open again.

        Of a fix that is applied already only a verification may come.
        """
        entry = replace(self.entries[name], outcome=outcome, revised=True)
        self._change([replace(entry, mark=Mark.OPEN) if entry.mark is Mark.ACCEPTED and entry.obstacle else entry])

    def applied(self, entries: Iterable[Entry], where: str) -> None:
        """Note what was written where. That is not undone here."""
        self._change(replace(one, applied=where) for one in entries)
        self._past.clear()

    def undo(self) -> list[str]:
        """Take the last change back. Returns the findings that it was about."""
        if not self._past:
            return []
        before = self._past.pop()
        self._take(before)
        return list(before)

    def _change(self, entries: Iterable[Entry]) -> None:
        changed = {one.fingerprint: one for one in entries}
        if changed:
            self._past.append({name: self.entries[name] for name in changed})
            self._take(changed)

    def _take(self, changed: dict[str, Entry]) -> None:
        self.entries |= changed
        self.problem = self.save(dict(self.entries) if self.problem else changed)  # what could not be saved before, too


def bound(entry: Entry) -> str:
    """Why nothing can be changed about an entry, ``""`` when it can."""
    return f"already applied to {entry.applied}" if entry.applied else ""


def _text(entry: Entry) -> str:
    one = entry.outcome.finding
    return f"{one.severity.value} {one.rule} {one.path}:{one.span.line} {entry.grade} {entry.status} {one.message}".casefold()
