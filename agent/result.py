"""What a run has to say: every finding with its fate, and the run's own figures. Reports are made from this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fixbot.detectors.finding import Finding, ReadReport, finding_from_json, read_report_from_json
from fixbot.detectors.project import Skipped

FORMAT_VERSION = 1
NO_SPEND = {"model": None, "tokens": 0, "cost": 0.0}


class Status(StrEnum):
    """A finding's fate."""

    FIXED = "fixed"
    FAILED = "failed"
    REGRESSED = "regressed"
    UNVERIFIABLE = "unverifiable"
    NEEDS_MODEL = "needs-model"
    ABSTAINED = "abstained"
    SUPPRESSED = "suppressed"
    OVER_BUDGET = "over-budget"
    NOT_ATTEMPTED = "not-attempted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finding and what became of it.

    ``patch`` is {origin, safety, bases, edits, diff}; ``verdict`` is ``Verdict.to_json``; ``spend`` is what a model took for it,
    {model, tokens, cost}.
    """

    finding: Finding
    status: Status
    reason: str = ""
    patch: Mapping[str, Any] | None = None
    verdict: Mapping[str, Any] | None = None
    commit: str | None = None
    spend: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The finding's JSON with the fate beside it."""
        return self.finding.to_json() | {
            "status": self.status.value,
            "reason": self.reason,
            "patch": None if self.patch is None else {**self.patch, **(self.spend or NO_SPEND)},
            "verdict": self.verdict,
            "commit": self.commit,
            "spend": self.spend,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run. ``seconds`` are wall times of the stages; ``tests`` is {passed, failed, flaky, problem} of the suite without fixes.

    ``diff`` holds the proven fixes of a run that was told to make no branch. ``rules`` are the rules that looked for bugs; ``whole`` says
    that they looked everywhere, so that what they did not find is not there. ``delivery`` is what became of the pull requests.
    """

    run: str
    repository: str
    base: str
    branch: str | None
    tip: str | None
    outcomes: tuple[Outcome, ...]
    files: int
    clean_files: int
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    tests: Mapping[str, Any] = field(default_factory=dict[str, Any])
    suite_runs: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    sandbox: str = ""
    environment: str = ""
    spend: Mapping[str, Any] = field(default_factory=dict[str, Any])
    reports: tuple[ReadReport, ...] = ()
    diff: str | None = None
    rules: tuple[str, ...] = ()
    whole: bool = False
    delivery: Mapping[str, Any] | None = None

    def count(self, *statuses: Status) -> int:
        """How many findings ended in one of these states."""
        return sum(outcome.status in statuses for outcome in self.outcomes)

    @property
    def left(self) -> int:
        """How many findings are neither fixed nor suppressed."""
        return len(self.outcomes) - self.count(Status.FIXED, Status.SUPPRESSED)

    def to_json(self) -> dict[str, Any]:
        """The run report of ``--output-format json``."""
        return {
            "version": FORMAT_VERSION,
            "root": ".",
            "run": self.run,
            "repository": self.repository,
            "base": self.base,
            "branch": self.branch,
            "tip": self.tip,
            "files_scanned": self.files,
            "files_clean": self.clean_files,
            "files_skipped": [{"path": entry.path, "reason": entry.reason} for entry in self.skipped],
            "findings": [outcome.to_json() for outcome in self.outcomes],
            "notes": list(self.notes),
            "tests": dict(self.tests),
            "suite_runs": self.suite_runs,
            "seconds": dict(self.seconds),
            "sandbox": self.sandbox,
            "environment": self.environment,
            "spend": dict(self.spend),
            "reports": [report.to_json() for report in self.reports],
            "diff": self.diff,
            "rules": list(self.rules),
            "whole": self.whole,
            "delivery": None if self.delivery is None else dict(self.delivery),
        }


def result_from_json(data: Mapping[str, Any]) -> RunResult:
    """The inverse of ``RunResult.to_json``. Raises KeyError, TypeError or ValueError on data of another shape."""
    return RunResult(
        run=data["run"],
        repository=data["repository"],
        base=data["base"],
        branch=data["branch"],
        tip=data["tip"],
        outcomes=tuple(outcome_from_json(entry) for entry in data["findings"]),
        files=data["files_scanned"],
        clean_files=data["files_clean"],
        skipped=tuple(Skipped(entry["path"], entry["reason"]) for entry in data["files_skipped"]),
        notes=tuple(data["notes"]),
        tests=data["tests"],
        suite_runs=data["suite_runs"],
        seconds=data["seconds"],
        sandbox=data["sandbox"],
        environment=data["environment"],
        spend=data["spend"],
        reports=tuple(read_report_from_json(entry) for entry in data.get("reports", ())),
        diff=data.get("diff"),
        rules=tuple(data.get("rules", ())),
        whole=data.get("whole", False),
        delivery=data.get("delivery"),
    )


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """The inverse of ``Outcome.to_json``. Raises KeyError, TypeError or ValueError on data of another shape."""
    return Outcome(
        finding_from_json(data), Status(data["status"]), data["reason"], data["patch"], data["verdict"], data["commit"], data.get("spend")
    )
