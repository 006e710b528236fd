"""What became of a model's fixes of the known bugs of an evaluation repository, by the hidden tests that neither side has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

from fixbot.agent.manifest import Bug, Manifest, owner
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.scripted import NO_REPLY, Script, has_reply
from fixbot.agent.verify.verdict import Grade


class Fate(StrEnum):
    """What became of the model's fix of a bug."""

    FIXED = "fixed"  # kept, and the hidden test passes
    WRONG = "plausible-but-wrong"  # kept, and the hidden test fails
    REFUSED = "refused"  # by the gate, or by the detectors and ruff on its result
    REJECTED = "rejected by tests"
    UNVERIFIABLE = "unverifiable"
    ABSTAINED = "abstained"
    OVER_BUDGET = "over-budget"  # not asked, or not asked again
    CODEMOD = "fixed by a codemod"  # no model needed
    GONE = "gone after another fix"  # its own was not tried
    NO_REPLY = "no reply"  # asked, but the script has none
    NOT_ASKED = "not asked"  # no finding, or none that goes to a model


ACCEPTED = (Fate.FIXED, Fate.WRONG)
FAILED = (Fate.REFUSED, Fate.REJECTED, Fate.UNVERIFIABLE)
ASKED = (*ACCEPTED, *FAILED, Fate.ABSTAINED)
_FATES = {
    Status.REGRESSED: Fate.REJECTED,
    Status.FAILED: Fate.REFUSED,
    Status.UNVERIFIABLE: Fate.UNVERIFIABLE,
    Status.OVER_BUDGET: Fate.OVER_BUDGET,
    Status.ABSTAINED: Fate.ABSTAINED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A known bug and what became of the model's fix. ``finding`` is the one that counts, as "rule path:line".

    ``grade`` and ``proof`` (whether a proof test was kept) are those of an accepted fix; ``hidden`` tells whether the hidden test passes at
    the end, None without one; ``tokens`` and ``cost`` (USD) are those of all of the bug's findings.
    """

    bug: Bug
    fate: Fate
    reason: str = ""
    finding: str = ""
    grade: str = ""
    proof: bool = False
    hidden: bool | None = None
    tokens: int = 0
    cost: float | None = None

    @property
    def verified(self) -> bool:
        """Whether the fix was accepted with the best grade."""
        return self.fate in ACCEPTED and self.grade == Grade.VERIFIED.value

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        names = ("reason", "finding", "grade", "proof", "hidden", "tokens", "cost")
        return {"id": self.bug.id, "rule": self.bug.rule, "fate": self.fate.value} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class ModelRun:
    """One run on one evaluation repository. ``script`` is None for a live model.

    ``prompts`` are the tokens of the first prompts, by finding; ``others`` are accepted fixes of findings that are no known bug. ``gone``
    says why the endpoint was of no more use before the end.
    """

    name: str
    script: Script | None
    model: str
    rows: tuple[Row, ...]
    prompts: Mapping[str, int]
    others: tuple[str, ...]
    notes: tuple[str, ...]
    tokens: int
    cost: float | None
    estimated: bool
    gone: str = ""

    @property
    def label(self) -> str:
        """What answered."""
        return f"scripted {self.script.value}" if self.script else f"live {self.model}"

    def count(self, *fates: Fate) -> int:
        """How many bugs came to one of these ends."""
        return sum(row.fate in fates for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain data for files and other programs."""
        counts = Counter(row.fate.value for row in self.rows)
        return {
            "name": self.name,
            "scripted": self.script.value if self.script else None,
            "model": self.model,
            "asked": self.count(*ASKED),
            "verified": sum(row.verified for row in self.rows),
            "proof_tests": sum(row.proof for row in self.rows),
            "counts": {fate.value: counts[fate.value] for fate in Fate},
            "rows": [row.to_json() for row in self.rows],
            "prompt_tokens": prompt_tokens([self]),
            "fixes_of_no_known_bug": list(self.others),
            "tokens": self.tokens,
            "cost": self.cost,
            "tokens_estimated": self.estimated,
            "notes": list(self.notes),
            "endpoint_gone": self.gone,
        }


def prompt_tokens(runs: Sequence[ModelRun]) -> dict[str, float]:
    """{count, median, max} of the tokens of all first prompts, each finding of a repository once."""
    sizes = {(run.name, finding): size for run in runs for finding, size in run.prompts.items()}
    return {"count": len(sizes), "median": median(sizes.values()) if sizes else 0, "max": max(sizes.values(), default=0)}


def measured(
    folder: Path,
    manifest: Manifest,
    script: Script | None,
    result: RunResult,
    prompts: Mapping[str, int],
    before: Mapping[str, bool],
    after: Mapping[str, bool],
) -> ModelRun:
    """The figures of a run. ``before`` and ``after`` are the hidden tests' outcomes, ``prompts`` the tokens of first prompts by finding."""
    mine: dict[str, list[Outcome]] = {bug.id: [] for bug in manifest.bug}
    others: list[str] = []
    for outcome in result.outcomes:
        bug = owner(outcome.finding, manifest.bug)
        if bug is not None:
            mine[bug.id].append(outcome)
        elif outcome.status is Status.FIXED and outcome.finding.fingerprint in prompts:
            others.append(_place(outcome))
    rows: list[Row] = []
    for bug in manifest.bug:
        row = _row(bug, mine[bug.id], prompts, after.get(bug.hidden_test or ""))
        silent = script is not None and not has_reply(folder, bug.id, script)
        if silent and row.fate is Fate.ABSTAINED and NO_REPLY in row.reason:
            row = replace(row, fate=Fate.NO_REPLY, reason="")
        if before.get(bug.hidden_test or "") and row.fate in ACCEPTED:
            row = replace(row, reason="its hidden test passes without a fix")
        rows.append(row)
    spend = result.spend
    estimated = script is not None or bool(spend.get("estimated"))
    gone = next((one.reason for one in result.outcomes if one.status is Status.NEEDS_MODEL), "") if script is None else ""
    return ModelRun(
        manifest.name, script, str(spend.get("model") or ""), tuple(rows), prompts, tuple(others), result.notes,
        int(spend.get("tokens") or 0), spend.get("cost"), estimated, gone,
    )  # fmt: skip


def _row(bug: Bug, outcomes: Sequence[Outcome], prompts: Mapping[str, int], hidden: bool | None) -> Row:
    """The row of a bug: of several findings that one counts whose fix got furthest."""
    asked = [outcome for outcome in outcomes if outcome.finding.fingerprint in prompts]
    kept = {str(one.patch["origin"]): one for one in outcomes if one.status is Status.FIXED and one.patch}
    by_codemod = kept.get("codemod") if "model" not in kept else None
    best = by_codemod or min(asked or outcomes, key=_how_far, default=None)
    if best is None:
        return Row(bug, Fate.NOT_ASKED, "no finding", hidden=hidden)
    fate, reason = _FATES.get(best.status, Fate.NOT_ASKED), best.reason or best.status.value
    grade, proof = "", False
    if by_codemod is not None:
        fate, reason = Fate.CODEMOD, ""
    elif not asked and fate is not Fate.OVER_BUDGET:
        fate = Fate.NOT_ASKED
    elif best.status is Status.FIXED and best.patch is None:
        fate = Fate.GONE
    elif best.status is Status.FIXED:
        verdict: Mapping[str, Any] = best.verdict or {}
        fate, grade = Fate.FIXED if hidden else Fate.WRONG, str(verdict.get("grade", ""))
        test: Mapping[str, Any] = verdict.get("proof_test") or {}
        proof = bool(test.get("kept"))
        reason = "no hidden test" if hidden is None else str(verdict.get("reason") or best.reason)
    costs = [float(one.spend["cost"]) for one in outcomes if one.spend and one.spend["cost"] is not None]
    tokens = sum(int(one.spend["tokens"]) for one in outcomes if one.spend)
    return Row(bug, fate, reason, _place(best), grade, proof, hidden, tokens, sum(costs) if costs else None)


def _how_far(outcome: Outcome) -> tuple[int, bool, bool]:
    order = [Status.FIXED, *_FATES]
    verdict: Mapping[str, Any] = outcome.verdict or {}
    place = order.index(outcome.status) if outcome.status in order else len(order)
    return place, outcome.patch is None, verdict.get("grade") != Grade.VERIFIED.value


def _place(outcome: Outcome) -> str:
    finding = outcome.finding
    return f"{finding.rule} {finding.path}:{finding.span.line}"
