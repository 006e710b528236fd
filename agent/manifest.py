"""What is known about an evaluation repository: its bugs, its decoys, and the report that tells of the bugs."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fixbot.agent.errors import UsageError
from fixbot.detectors.engines.bug_report import ReportError, read_report
from fixbot.detectors.engines.report_findings import RULE, entries_on, place_report
from fixbot.detectors.finding import Finding
from fixbot.detectors.project import Project

REPORT = "REPORT.md"


class Place(BaseModel):
    """Lines (first, last) of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str
    lines: tuple[int, int]


class Bug(BaseModel):
    """A known bug. A finding of ``rule`` (or ``also_rules``) in ``path`` that overlaps ``lines`` (or one of the places ``also``) finds it.

    ``hidden_test`` passes once it is fixed. ``depends_on`` are bugs that must be fixed before a fix of this one can keep the suite green.
    ``report`` is the entry of the repository's REPORT.md that tells of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    heading: str
    rule: str
    path: str
    lines: tuple[int, int]
    fix: Literal["codemod", "model", "none"]
    hidden_test: str | None = None
    also: tuple[Place, ...] = ()
    also_rules: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    report: str | None = None
    note: str = ""

    @property
    def places(self) -> tuple[tuple[str, tuple[int, int]], ...]:
        """Every stretch of lines on which a finding counts."""
        return (self.path, self.lines), *((place.path, place.lines) for place in self.also)


class Decoy(BaseModel):
    """Correct code that looks wrong. A finding of one of ``rules`` that starts in ``lines`` is false."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str
    lines: tuple[int, int]
    rules: tuple[str, ...]
    why: str


class Manifest(BaseModel):
    """What is known about an evaluation repository."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    seed: str
    bug: tuple[Bug, ...]
    decoy: tuple[Decoy, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an evaluation repository. Raises UsageError."""
    try:
        return Manifest.model_validate(tomllib.loads((folder / "manifest.toml").read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{folder} is no evaluation repository: {error}", "see eval_repos/README.md") from None


def finds(finding: Finding, bug: Bug) -> bool:
    """Whether a finding is of one of the bug's rules and on its lines."""
    return finding.rule in (bug.rule, *bug.also_rules) and _on(finding, bug)


def owner(finding: Finding, bugs: Sequence[Bug]) -> Bug | None:
    """The one bug that a finding is of, by its rule or by its entry in REPORT.md; of several the one whose lines are nearest."""
    told = {str(entry.get("id")) for entry in finding.facts.get("reports", ())}
    named = any(bug.report in told for bug in bugs)

    def rank(bug: Bug) -> tuple[int, bool, int] | None:
        entry, here = bug.report in told, _on(finding, bug)
        tiers = (
            finds(finding, bug),
            entry and here,
            finding.rule == RULE and not named and here,
            entry and any(path == finding.path for path, _ in bug.places),
            entry,
        )
        return (tiers.index(True), not entry, _distance(finding, bug)) if any(tiers) else None

    ranked = [(place, index) for index, bug in enumerate(bugs) if (place := rank(bug)) is not None]
    return bugs[min(ranked)[1]] if ranked else None


def _on(finding: Finding, bug: Bug) -> bool:
    return any(finding.path == path and finding.span.line <= last and finding.span.end_line >= first for path, (first, last) in bug.places)


def _distance(finding: Finding, bug: Bug) -> int:
    """Lines between a finding's first line and the nearest line of the bug in the same file."""
    line = finding.span.line
    return min((max(first - line, line - last, 0) for path, (first, last) in bug.places if path == finding.path), default=1 << 30)


def reported(folder: Path, manifest: Manifest, project: Project) -> dict[str, bool]:
    """For each bug with a ``report`` whether that entry of REPORT.md is placed on one of its stretches of lines. Raises UsageError."""
    named = [bug for bug in manifest.bug if bug.report is not None]
    if not named:
        return {}
    try:
        placed = place_report(read_report(folder / REPORT), project)
    except ReportError as error:
        raise UsageError(f"{folder / REPORT}: {error}", "see eval_repos/README.md") from None
    unknown = sorted({bug.report for bug in named if bug.report} - set(placed))
    if unknown:
        raise UsageError(f"{folder / REPORT} has no entry {', '.join(unknown)}", "see eval_repos/README.md")
    return {bug.id: entries_on(placed[bug.report or ""], bug.places) for bug in named}
