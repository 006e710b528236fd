"""Verify many patches with few runs of the suite: all at once, and only when that fails, look for the bad ones by halves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fixbot.agent.verify.verdict import Delta
from fixbot.patchers.patch import Patch

Judge = Callable[[Sequence[Patch], tuple[str, ...] | None], Delta]
"""Runs the suite with these patches: all of it, or only the named tests. Raises nothing for a bad run: the Delta says it."""

_WARY_RUNS = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Which patches can stand together, and what the others broke. ``final`` is the whole suite's word on the accepted ones."""

    accepted: tuple[Patch, ...]
    rejected: dict[str, Delta] = field(default_factory=dict[str, Delta])
    final: Delta = field(default_factory=Delta)


def verify_batch(patches: Sequence[Patch], judge: Judge, *, wary: bool = False, owners: Mapping[str, str] | None = None) -> Batch:
    """Split patches into those that can be applied together without making a test worse, and the rest.

    One bad patch among n costs at most log2(n) + 4 runs, and only the first and the last of them are whole: the search between them
    runs just the tests that failed. Tests that pass when they are run again are flaky and decide nothing; where flaky tests are known
    (``wary``), failing ones must also pass again without any patch. Of patches that are bad only together the later one is taken for
    the bad one. ``owners`` are tests that must pass, each with the finding whose patch is there to make it pass: where only such tests
    fail, it is known whose fault that is.
    """
    accepted = list(patches)
    rejected: dict[str, Delta] = {}
    excused: set[str] = set()

    def ask(some: Sequence[Patch], select: tuple[str, ...] | None) -> Delta:
        delta = judge(some, select)
        return replace(delta, newly_failing=tuple(name for name in delta.newly_failing if name not in excused))

    while accepted:
        whole = ask(accepted, None)
        if wary and whole.newly_failing:
            for _ in range(_WARY_RUNS):
                excused.update(judge([], whole.newly_failing).newly_failing)
            whole = replace(whole, newly_failing=tuple(name for name in whole.newly_failing if name not in excused))
        if whole.good:
            return Batch(tuple(accepted), rejected, replace(whole, flaky=tuple(sorted(excused))))
        failed = _owners_of(whole, owners or {}, accepted)
        if failed:
            for patch in failed:
                tests = tuple(name for name in whole.newly_failing if (owners or {})[name] == patch.finding)
                accepted.remove(patch)
                rejected[patch.finding] = Delta(tests, details={name: whole.details[name] for name in tests if name in whole.details})
            continue
        focus = whole.newly_failing or None
        if focus and ask(accepted, focus).good:
            again = ask(accepted, None)
            if again.good:
                return Batch(tuple(accepted), rejected, replace(again, flaky=tuple(sorted({*focus, *excused}))))
            focus, whole = None, again  # they fail only among the others: each probe must be a whole run
        bad, delta = _find_bad(accepted, focus, whole, ask)
        accepted.remove(bad)
        rejected[bad.finding] = delta
    return Batch((), rejected)


def _owners_of(whole: Delta, owners: Mapping[str, str], patches: Sequence[Patch]) -> list[Patch]:
    """The patches that did not make their own tests pass, when nothing else went wrong; else none."""
    if whole.problem or not owners.keys() >= set(whole.newly_failing):
        return []
    blamed = {owners[name] for name in whole.newly_failing}
    return [patch for patch in patches if patch.finding in blamed]


def _find_bad(suspects: Sequence[Patch], focus: tuple[str, ...] | None, failure: Delta, judge: Judge) -> tuple[Patch, Delta]:
    """One bad patch of the suspects, which fail together, and what it broke."""
    good: Sequence[Patch] = ()
    while len(suspects) > 1:
        left, right = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        delta = judge([*good, *left], focus)
        if delta.good:
            good, suspects = [*good, *left], right
        else:
            suspects, failure = left, delta
    return suspects[0], failure
