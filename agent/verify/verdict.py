"""Compare a run of the suite with the baseline, test by test. Counts and exit codes decide nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fixbot.agent.verify.results import GOOD, SuiteResult, TestOutcome

_SHOWN = 3  # failing tests whose output is kept
_OUTPUT = 6000  # characters of it
TIMEOUT = "timeout: "
"""How the detail of a test begins that was interrupted since it took too long."""


class Grade(StrEnum):
    """How well a fix is proven.

    ``verified``: no test got worse and passing tests executed every changed line (of removed ones the place, see ``evidence_lines``).
    ``checked``: no test got worse, but some or all of the changed lines were not executed. ``unverifiable``: the suite could not tell; the
    reason says why.
    """

    VERIFIED = "verified"
    CHECKED = "checked"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Proof:
    """A test made for a fix. ``kept``: it failed before the fix, passed after it and failed again without it; else ``reason`` says why not.

    ``executed`` are those of the changed lines, as (path, line), that this test executes.
    """

    path: str
    source: str
    kept: bool
    reason: str = ""
    executed: frozenset[tuple[str, int]] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"path": self.path, "source": self.source, "kept": self.kept, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Baseline:
    """The suite without any fix. ``stable`` are the outcomes that agree in all of its runs; ``flaky`` tests, the others, decide nothing."""

    stable: Mapping[str, TestOutcome]
    flaky: tuple[str, ...]
    problem: str = ""

    @property
    def passing(self) -> int:
        """How many stable tests pass."""
        return sum(outcome in GOOD for outcome in self.stable.values())

    @property
    def good(self) -> frozenset[str]:
        """Stable tests that pass."""
        return frozenset(name for name, outcome in self.stable.items() if outcome in GOOD)

    @property
    def failing(self) -> tuple[str, ...]:
        """Stable tests that fail without any fix."""
        return tuple(name for name, outcome in self.stable.items() if outcome in ("failed", "error"))


@dataclass(frozen=True, slots=True)
class Delta:
    """What a run of the suite says against the baseline. ``problem`` is set when the run itself was no good.

    ``details`` is what each newly failing test printed, by name; under "" the end of the run's output, when the run was no good.
    """

    newly_failing: tuple[str, ...] = ()
    newly_passing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    problem: str = ""
    details: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def good(self) -> bool:
        """Whether nothing got worse."""
        return not self.newly_failing and not self.problem

    @property
    def output(self) -> str:
        """What the first of the failing tests printed; the end of the run's output where the run itself was no good."""
        if self.problem:
            return self.details.get("", "")
        known = [(name, self.details[name]) for name in self.newly_failing if name in self.details]
        return "\n\n".join(f"{name}\n{text}" for name, text in known[:_SHOWN])[:_OUTPUT]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The proof of one fix. Test numbers are of the suite before and after; ``lines`` are (executed, changed) line counts.

    ``executed_by`` names some of the passing tests that ran the changed lines.
    """

    grade: Grade
    reason: str = ""
    tests_before: int = 0
    tests_after: int = 0
    newly_failing: tuple[str, ...] = ()
    newly_passing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    lines: tuple[int, int] = (0, 0)
    executed_by: tuple[str, ...] = ()
    finding_gone: bool = True
    proof: Proof | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict as run reports show it."""
        return {
            "grade": self.grade.value,
            "reason": self.reason,
            "tests_before": self.tests_before,
            "tests_after": self.tests_after,
            "newly_failing": list(self.newly_failing),
            "newly_passing": list(self.newly_passing),
            "flaky": list(self.flaky),
            "changed_lines_covered": {"executed": self.lines[0], "changed": self.lines[1]},
            "executed_by": list(self.executed_by),
            "finding_gone": self.finding_gone,
            "proof_test": self.proof.to_json() if self.proof else None,
        }


def make_baseline(runs: list[SuiteResult]) -> Baseline:
    """The baseline of one or more runs of the same tree. Its ``problem`` says when they are no base to compare with."""
    for run in runs:
        if not run.complete:
            return Baseline({}, (), run.problem)
    names = {name for run in runs for name in run.tests}
    outcomes: dict[str, set[TestOutcome | None]] = {
        name: {run.tests[name].outcome if name in run.tests else None for run in runs} for name in sorted(names)
    }
    stable: dict[str, TestOutcome] = {}
    for name, seen in outcomes.items():
        outcome = next(iter(seen))
        if len(seen) == 1 and outcome is not None:
            stable[name] = outcome
    flaky = tuple(sorted(names - stable.keys()))
    baseline = Baseline(stable, flaky)
    if not any(outcome in GOOD for outcome in baseline.stable.values()):
        return Baseline(baseline.stable, flaky, "no test passes without the fixes, so none can show that a fix breaks nothing")
    return baseline


def compare(baseline: Baseline, run: SuiteResult, only: frozenset[str] | None = None, demanded: Collection[str] = frozenset()) -> Delta:
    """What got worse and what got better in a run. ``only`` limits the comparison to the tests that the run was asked for.

    A test that passed must pass again: failed, skipped and missing all count as worse. So does a ``demanded`` test, one that the fix is
    for, which still fails. Collection errors need no look of their own: the tests of that file are then missing.
    """
    if not run.complete:
        return Delta(problem=run.problem, details={"": run.output[-_OUTPUT:]})
    wanted = {name: outcome for name, outcome in baseline.stable.items() if only is None or name in only}
    after = {name: run.tests[name].outcome if name in run.tests else None for name in wanted}
    worse = [name for name, outcome in wanted.items() if (outcome in GOOD or name in demanded) and after[name] not in GOOD]
    better = [name for name, outcome in wanted.items() if outcome in ("failed", "error") and after[name] in GOOD]
    return Delta(tuple(worse), tuple(better), details={name: _detail(run.tests[name].detail) for name in worse if name in run.tests})


def _detail(text: str) -> str:
    """A failing test's output; where a test hung, the place at which it was interrupted is left to chance and left out."""
    return "the test did not end in time" if text.startswith(TIMEOUT) else text.strip()[:_OUTPUT]
