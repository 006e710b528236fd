"""What to do with each group of fixes: a pure function of what the run found and what is on the forge.

The manners are those that people expect of dependency bots: one stable branch a group, updated in place; a branch with somebody's commit is
theirs; what was closed or reverted is not offered again; a limit on what is open and on what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

from fixbot.agent.deliver.forge import Pull, State
from fixbot.agent.deliver.groups import Group, Owner, group
from fixbot.agent.deliver.mark import Mark, Offered
from fixbot.agent.result import Outcome


class Action(StrEnum):
    """What is done with a group."""

    OPEN = "open"
    UPDATE = "update"
    KEEP = "keep"
    LEAVE = "leave"
    CLOSE = "close"
    WAIT = "wait"
    DECLINED = "declined"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One group's action. ``pull`` is the pull request that it is about, ``mark`` that one's note."""

    action: Action
    key: str
    branch: str
    reason: str = ""
    fixes: tuple[Outcome, ...] = ()
    pull: Pull | None = None
    mark: Mark | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data: {action, group, branch, reason, findings, number, url}."""
        return {
            "action": self.action.value,
            "group": self.key,
            "branch": self.branch,
            "reason": self.reason,
            "findings": [one.finding.fingerprint for one in self.fixes],
            "number": self.pull.number if self.pull else None,
            "url": self.pull.url if self.pull else "",
        }


@dataclass(frozen=True, slots=True)
class Known:
    """One of fixbot's own pull requests, as the forge has it."""

    pull: Pull
    mark: Mark


@dataclass(frozen=True, slots=True)
class Seen:
    """What the run saw: its proven ``fixes``; ``is_gone`` tells of a fix in an open pull request whether the run looked for its finding
    and did not find it.
    """

    fixes: Sequence[Outcome]
    is_gone: Callable[[Offered], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pull requests may be open at once, and how many a run may open."""

    open: int
    new: int


@dataclass(frozen=True, slots=True)
class Forged:
    """What is on the forge: our pull requests, newest first; the branches with our prefix, and whether a branch's commit is ours alone.

    ``reopened`` are the numbers of closed pull requests that may be offered again; ``wanted`` the keys that somebody asked for, limits or
    not; ``first_seen`` tells the day on which a group that waits was first seen; ``taken`` are open pull requests with our prefix whose
    note cannot be read.
    """

    known: Sequence[Known]
    heads: Mapping[str, str]
    is_ours: Callable[[str], bool]
    prefix: str
    reopened: Collection[int] = ()
    wanted: Collection[str] = ()
    first_seen: Mapping[str, str] = field(default_factory=dict[str, str])
    taken: Sequence[Pull] = ()


def replaced_code(one: Outcome) -> str:
    """A digest of the lines that a fix replaces; of those around it where it only inserts. It stays when the code moves."""
    rows = [row for row in (one.patch or {}).get("diff", "").splitlines() if not row.startswith(("---", "+++", "@@", "\\"))]
    old = [row[1:] for row in rows if row.startswith("-")] or [row[1:] for row in rows if row.startswith(" ")]
    return hashlib.sha256("\n".join(old).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def plan(seen: Seen, forged: Forged, by: str, owner: Owner, limits: Limits) -> list[Step]:
    """The steps to take, in their order. Every fix is in exactly one of them."""
    opened = {one.mark.key: one for one in reversed(forged.known) if one.pull.state is State.OPEN}
    held = {fix.finding: key for key, one in opened.items() for fix in one.mark.fixes}
    declined = dict(_declined(forged))
    kept: list[Outcome] = []
    refused: dict[Known, list[Outcome]] = {}
    for one in seen.fixes:
        before = declined.get((one.finding.fingerprint, replaced_code(one)))
        if before is None or one.finding.fingerprint in held:
            kept.append(one)
        else:
            refused.setdefault(before, []).append(one)
    groups = {one.key: one for one in group(kept, by, owner, held)}
    steps = [_of_open(key, one, groups.get(key), seen, forged) for key, one in opened.items()]
    still_open = sum(step.action is not Action.CLOSE for step in steps) + len(forged.taken)
    steps += _new(sorted((one for one in groups.values() if one.key not in opened), key=_order(forged)), forged, limits, still_open)
    return steps + [_refusal(before, fixes) for before, fixes in refused.items()]


def _declined(forged: Forged) -> Iterator[tuple[tuple[str, str], Known]]:
    """What somebody has closed, or what was merged and is there again."""
    for one in reversed(forged.known):
        if one.pull.state is not State.OPEN and not one.mark.retired and one.pull.number not in forged.reopened:
            for fix in one.mark.fixes:
                yield (fix.finding, fix.code), one


def _refusal(before: Known, fixes: Sequence[Outcome]) -> Step:
    merged = before.pull.state is State.MERGED
    why = "merged, yet found again: reverted since, or the run's base is older" if merged else "closed without merging"
    return Step(
        Action.DECLINED, before.mark.key, before.pull.branch, f"#{before.pull.number} was {why}", tuple(fixes), before.pull, before.mark
    )


def _of_open(key: str, one: Known, group: Group | None, seen: Seen, forged: Forged) -> Step:
    pull, mark = one.pull, one.mark
    fixes = group.fixes if group else ()
    head = forged.heads.get(pull.branch)

    def step(action: Action, reason: str = "") -> Step:
        return Step(action, key, pull.branch, reason, fixes, pull, mark)

    if head is None or not forged.is_ours(head):
        return step(Action.LEAVE, "the branch holds commits of somebody else" if head else "its branch is gone")
    if fixes:
        return step(Action.UPDATE)
    if all(seen.is_gone(fix) for fix in mark.fixes):
        return step(Action.CLOSE, "what it fixes is no longer there")
    return step(Action.KEEP, "this run has no proven fix for it")


def _order(forged: Forged) -> Callable[[Group], tuple[bool, int, str, str]]:
    """Worst first; of the same severity the one that has waited longest."""
    return lambda one: (one.key not in forged.wanted, one.rank, forged.first_seen.get(one.key, "9999-12-31"), one.key)


def _new(groups: Sequence[Group], forged: Forged, limits: Limits, still_open: int) -> Iterator[Step]:
    new = 0
    taken = {pull.branch: pull for pull in forged.taken}
    for one in groups:
        if pull := taken.get(forged.prefix + one.key):
            yield Step(Action.LEAVE, one.key, pull.branch, f"#{pull.number} has lost its note, so it is left alone", one.fixes, pull)
            continue
        branch = _free_branch(one.key, forged)
        reason = ""
        if one.key not in forged.wanted:
            if still_open >= limits.open:
                reason = f"{still_open} pull requests are open, the limit is {limits.open}"
            elif new >= limits.new:
                reason = f"a run opens no more than {limits.new}"
        if reason:
            yield Step(Action.WAIT, one.key, branch, reason, one.fixes)
        else:
            new, still_open = new + 1, still_open + 1
            yield Step(Action.OPEN, one.key, branch, fixes=one.fixes)


def _free_branch(key: str, forged: Forged) -> str:
    """The group's branch, or with a number after it where somebody else's is called so."""
    names = (forged.prefix + (key if number == 1 else f"{key}-{number}") for number in count(1))
    return next(name for name in names if (name not in forged.heads or forged.is_ours(forged.heads[name])))
