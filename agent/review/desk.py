"""Where a review happens: a finished run, a private clone at its base, what was decided so far and is remembered with every key."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.decisions import Decision, Kind, Source, code_of, in_force
from fixbot.agent.errors import FixbotError, LedgerError
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.review.fixes import Fixes, fixes_of
from fixbot.agent.review.session import Entry, Mark, Review, entry_from_json
from fixbot.agent.store import Ledger
from fixbot.detectors.finding import Finding
from fixbot.patchers.model.keys import Key

MAX_FILE = 4 << 20  # bytes of a file that are shown


@dataclass(slots=True)
class Desk:
    """A run under review. ``earlier`` are the decisions that were in force when it was opened, by finding."""

    result: RunResult
    workspace: ws.Workspace
    ledger: Ledger
    settings: Settings
    state: Path
    key: Key
    fixes: Fixes
    earlier: Mapping[str, Decision] = field(default_factory=dict[str, Decision])
    review: Review = field(init=False)
    _codes: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        try:
            self.review = Review(self._entries(), self._save)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"the review of run {self.result.run} cannot be read: {error}", "start a new run") from error

    def _entries(self) -> dict[str, Entry]:
        """The run's findings, worst first, as the last session has left them. What a comment mutes is not reviewed."""
        kept = self.ledger.review(self.result.run)
        some = [one for one in self.result.outcomes if one.status is not Status.SUPPRESSED or one.finding.fingerprint in self.earlier]
        some.sort(key=lambda one: (one.finding.severity.rank, one.finding.path, one.finding.span))
        return {
            one.finding.fingerprint: entry_from_json(one, kept[one.finding.fingerprint])
            if one.finding.fingerprint in kept
            else self._fresh(one)
            for one in some
        }

    def _fresh(self, outcome: Outcome) -> Entry:
        """A finding that this review has not touched; what was rejected in another one is so here."""
        known = self.earlier.get(outcome.finding.fingerprint)
        if known is None or known.kind in (Kind.ACCEPTED, Kind.DECLINED):
            return Entry(outcome)
        return Entry(outcome, Mark.REJECTED, known.kind, known.reason)

    def _save(self, changed: Mapping[str, Entry]) -> str:
        try:
            self._write(changed)
        except FixbotError as error:
            return f"not saved: {error.message}"
        return ""

    def _write(self, changed: Mapping[str, Entry]) -> None:
        self.ledger.save_review(self.result.run, {name: entry.to_json() for name, entry in changed.items()})
        now, decisions, undone = int(time.time()), list[Decision](), dict[str, str]()
        for name, entry in changed.items():
            kind = Kind.ACCEPTED if entry.mark is Mark.ACCEPTED else entry.kind
            before = self.earlier.get(name)
            if entry.mark in (Mark.ACCEPTED, Mark.REJECTED) and kind is not None:
                rule = entry.outcome.finding.rule
                decisions.append(Decision(self.result.repository, name, kind, rule, self._code(entry), entry.reason, now))
            elif before is not None and before.source is Source.PULL_REQUEST:
                decisions.append(before)
            else:
                undone[name] = self._code(entry)
        self.ledger.decide(*decisions)
        self.ledger.take_back(self.result.repository, undone)

    def _code(self, entry: Entry) -> str:
        """What identifies the code of an entry's finding."""
        if entry.fingerprint not in self._codes:
            finding = entry.outcome.finding
            self._codes[entry.fingerprint] = code_of(finding, read(self.workspace.root, finding.path))
        return self._codes[entry.fingerprint]


def read(root: Path, path: str) -> bytes:
    """A regular file of the clone, ``b""`` where there is none: a link leads wherever the repository wants."""
    full = root / path
    inside = os.path.join(os.path.realpath(root), path)
    if ws.unsafe(path) or not full.is_file() or os.path.realpath(full) != inside or full.stat().st_size > MAX_FILE:
        return b""
    return full.read_bytes()


def source_of(desk: Desk, finding: Finding) -> bytes:
    """The file that a finding is in, as it was in the run's base."""
    return read(desk.workspace.root, finding.path)


@contextmanager
def open_desk(result: RunResult, settings: Settings, key: Key, state: Path | None = None) -> Generator[Desk]:
    """Sit down to review a run. Nobody else can review a run of the same repository meanwhile. Raises FixbotError."""
    state = state or ws.state_dir()
    repository, place = Path(result.repository), state / "review"
    with closing(Ledger(state / "ledger.sqlite")) as ledger, ws.lock(place, repository):
        for record in ledger.runs(result.repository):  # what killed reviews have left
            shutil.rmtree(place / "runs" / record.id, ignore_errors=True)
        workspace = ws.open_workspace(repository, place, result.run, trust_owner=settings.trust_owner, base=result.base)
        try:

            def of_base(path: str) -> bytes:
                return read(workspace.root, path)

            findings = [one.finding for one in result.outcomes]
            earlier = in_force(findings, ledger.decisions(result.repository), of_base)
            yield Desk(result, workspace, ledger, settings, state, key, fixes_of(result, of_base), earlier)
        finally:
            ws.remove(workspace)
            shutil.rmtree(workspace.root.parent, ignore_errors=True)
