"""What a run's stages share while it lasts: the session, the tree under work, and what has come of the findings so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.events import Decided, Emit
from fixbot.agent.result import Outcome
from fixbot.agent.store import Ledger, RunRecord
from fixbot.agent.verify.verdict import Baseline
from fixbot.detectors.finding import Finding
from fixbot.detectors.scan import Scan
from fixbot.patchers.model.conversation import Conversation
from fixbot.patchers.model.messages import Model
from fixbot.patchers.patch import Patch

Identity = tuple[str, str, str, str]
"""Rule, path, scope and key: what stays of a finding when lines move."""


def identity(finding: Finding) -> Identity:
    """What stays of a finding when lines move."""
    return finding.rule, finding.path, finding.scope, finding.key


class Session(Protocol):
    """What the rounds need of the run that they belong to."""

    workspace: ws.Workspace
    settings: Settings
    ledger: Ledger
    record: RunRecord
    emit: Emit
    model: Model | None

    def scan(self, root: Path, commit: str) -> Scan:
        """Scan a folder that holds the files of a commit."""
        ...

    def watch(self, stage: str, /) -> AbstractContextManager[None]:
        """Measure a block as part of a stage."""
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was wrong with a model's fix: for the model, and the finding's fate should there be no better one."""

    reason: str
    output: str
    outcome: Outcome


@dataclass(slots=True)
class Rounds:
    """What the rounds have come to: the branch's tip, each finding's fate, the baseline's figures.

    ``conversations`` are those with the model, ``feedback`` is what it has still to be told, both by finding. ``model_problem`` says why
    nothing more is asked of it. ``given`` are patches of people, by finding, to try in the place of any other.
    """

    tip: str
    fates: dict[str, Outcome]
    branch: str | None = None
    commits: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    tests: dict[str, Any] = field(default_factory=dict[str, Any])
    baseline: Baseline | None = None
    conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    feedback: dict[str, Feedback] = field(default_factory=dict[str, Feedback])
    model_problem: str = ""
    given: dict[str, Patch] = field(default_factory=dict[str, Patch])

    def spend(self, patch: Patch) -> dict[str, Any] | None:
        """What a model took for a patch; None for a codemod's."""
        conversation = self.conversations.get(patch.finding)
        return conversation.spend.to_json() if conversation else None


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a commit in a folder, and the findings in them by fingerprint."""

    root: Path
    commit: str
    tracked: frozenset[str]
    findings: Mapping[str, Finding]
    counts: Counter[Identity]

    def base(self, patches: Iterable[Patch]) -> dict[str, bytes]:
        """The content of the files that patches change."""
        return {path: (self.root / path).read_bytes() for patch in patches for path in patch.bases}


def decide(session: Session, rounds: Rounds, fate: Outcome) -> None:
    """Enter a finding's fate and tell it."""
    rounds.fates[fate.finding.fingerprint] = fate
    session.emit(Decided(fate.finding.fingerprint, fate.status.value, fate.reason))
