"""Verify a fix at a run's base, or ask the model for another one: with the same rounds, gate and judge as a run."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.apply import patch_of
from fixbot.agent.environments import Environment
from fixbot.agent.errors import UsageError
from fixbot.agent.events import Emit, Event
from fixbot.agent.judging import ensure_baseline
from fixbot.agent.model import open_model
from fixbot.agent.proving import passes
from fixbot.agent.result import Outcome, Status
from fixbot.agent.review.desk import Desk
from fixbot.agent.review.fixes import Sides, beneath, from_sides, sides
from fixbot.agent.review.session import Entry
from fixbot.agent.rounds import fix_rounds
from fixbot.agent.sandbox.choose import choose
from fixbot.agent.session import Rounds
from fixbot.agent.store import Ledger, RunRecord
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.verdict import Baseline, Grade
from fixbot.agent.workshop import Workshop
from fixbot.detectors.finding import Finding
from fixbot.patchers.edits import GateError, check_patch, edits_dependencies
from fixbot.patchers.model.budget import Budget
from fixbot.patchers.model.context import Context, build_context, fenced, plain
from fixbot.patchers.model.conversation import Conversation
from fixbot.patchers.patch import Origin, Patch
from fixbot.prompts import load

_BRANCH = "trial"  # in the private clone only


class Stopped(Exception):
    """The person does not want to wait any longer."""


@dataclass(slots=True)
class Trials:
    """One trial at a time. The environment, and the suite without fixes, are the same for all of them. ``stop`` ends the one under way."""

    desk: Desk
    stop: threading.Event = field(default_factory=threading.Event)
    _shop: Workshop | None = None
    _runner: SuiteRunner | None = None
    _reason: str = ""
    _baseline: Baseline | None = None

    def verify(self, entry: Entry, emit: Emit) -> Outcome:
        """Run the tests with the entry's fix. Raises FixbotError, Stopped."""
        changed = sides(self.desk.fixes, entry)
        if not changed:
            raise UsageError("there is no fix to verify that stands for itself")
        origin = patch_of(entry.outcome).origin
        patch = replace(from_sides(entry.outcome, changed, origin), safety=entry.outcome.finding.fix.safety)
        outcome = self._judge(entry.outcome.finding, emit, beneath(self.desk.fixes, entry), patch)
        if outcome.status is Status.FIXED:
            outcome = self._with_proof(entry.outcome, outcome, changed)
        return replace(outcome, patch=entry.outcome.patch, spend=entry.outcome.spend)  # what was tried is the same, in other words

    def try_edited(self, entry: Entry, changed: Sides, emit: Emit) -> Outcome:
        """Run the gate and the tests with a person's version of the files, given with those of the base. Raises FixbotError, Stopped."""
        return self._judge(entry.outcome.finding, emit, {}, self.check_edited(entry, changed))

    def check_edited(self, entry: Entry, changed: Sides) -> Patch:
        """The patch of a person's version of the files, when the gate lets it pass. Raises UsageError."""
        finding = entry.outcome.finding
        patch, workspace = from_sides(entry.outcome, changed, Origin.PERSON), self.desk.workspace
        try:
            tracked = frozenset(ws.files(workspace))
            check_patch(patch, workspace.root, tracked, dependencies=edits_dependencies(finding.rule, finding.path))
        except KeyError:
            raise UsageError(f"{finding.rule} is no rule of fixbot's: its fixes cannot be verified") from None
        except GateError as error:
            raise UsageError(f"refused: {error}") from None
        return patch

    def close(self) -> None:
        """Let go of what trials have opened."""
        if self._shop is not None:
            self._shop.ledger.close()

    def ask(self, entry: Entry, hint: str, emit: Emit) -> Outcome:
        """Ask the model for a fix, told what a person says, and prove it. Raises FixbotError, Stopped."""
        shop = self._open(emit)
        if shop.model is None:
            raise UsageError("there is no model to ask", "start the review with --model")
        finding = entry.outcome.finding
        said = f"{load('hint')}\n\n{plain(hint)}"
        if entry.outcome.patch:
            said += f"\n\n{fenced(plain(entry.outcome.patch['diff']))}"
        number = sum(one.finding == finding.fingerprint for one in self.desk.ledger.exchanges(self.desk.result.run))
        build = partial(_context, shop, finding)
        talk = Conversation(finding, shop.model, build, shop.settings.prompt_tokens, hint=said, sample=number)
        return self._judge(finding, emit, {}, None, {finding.fingerprint: talk})

    def _judge(
        self, finding: Finding, emit: Emit, under: dict[str, bytes], patch: Patch | None, talks: dict[str, Conversation] | None = None
    ) -> Outcome:
        shop = self._open(emit)
        tip = shop.workspace.base
        if under:
            tip = ws.commit(shop.workspace, _BRANCH, under, "What the fix stands on", tip)
        given = {finding.fingerprint: patch} if patch else {}
        rounds = Rounds(tip, {}, _BRANCH, baseline=self._baseline, conversations=talks or {}, given=given)
        fix_rounds(shop, self._runner, self._reason, rounds, [finding])
        outcome = rounds.fates[finding.fingerprint]
        if outcome.status is Status.FIXED and outcome.patch is None:
            raise UsageError("the finding is not there without other fixes", "verify those")
        return replace(outcome, commit=None)

    def _open(self, emit: Emit) -> Workshop:
        """Everything that trials need, made at the first one."""

        def told(event: Event) -> None:
            if self.stop.is_set():
                raise Stopped
            emit(event)

        if self._shop is None:
            desk = self.desk
            sandbox = choose(desk.settings.sandbox, desk.workspace.repository)
            model, budget = open_model(desk.settings, desk.key, desk.ledger, desk.result.run) or (None, Budget())
            ledger, record = _scratch(desk)
            self._shop = Workshop(desk.workspace, desk.settings, sandbox, ledger, record, desk.state, told, model, budget)
        self._shop.emit = told
        if self._runner is None:
            found = self._shop.environment()
            if isinstance(found, Environment):
                self._runner = self._shop.runner(found)
            else:
                self._reason = found
        if self._runner is not None:
            self._runner.emit = told
            if self._baseline is None:
                rounds = Rounds(self.desk.workspace.base, {})
                ensure_baseline(self._shop, self._runner, rounds)
                self._baseline = rounds.baseline
        return self._shop

    def _with_proof(self, old: Outcome, new: Outcome, changed: Sides) -> Outcome:
        """The new verdict with the test that proved the fix before, if that still does."""
        proof: dict[str, Any] | None = (old.verdict or {}).get("proof_test")
        if self._runner is None or not proof or not proof["kept"] or new.verdict is None or new.verdict["proof_test"]:
            return new
        test = {proof["path"]: proof["source"].encode()}
        base, under = self.desk.workspace.base, {path: before for path, (before, _) in changed.items()}
        fixed = {path: after for path, (_, after) in changed.items()}
        if passes(self._runner.run(base, {**under, **test}, label="proof test without the fix", files=tuple(test))):
            return new
        if not passes(self._runner.run(base, {**fixed, **test}, label="proof test with the fix", files=tuple(test))):
            return new
        lines = new.verdict["changed_lines_covered"]
        whole = lines["changed"] and lines["executed"] == lines["changed"]
        better = {"grade": Grade.VERIFIED.value, "reason": ""} if whole else {}
        return replace(new, verdict={**new.verdict, **better, "proof_test": proof}, reason="" if whole else new.reason)


def _context(shop: Workshop, finding: Finding, limit: int) -> Context:
    project = shop.project(shop.workspace.root, shop.workspace.base)
    return build_context(finding, project, limit=limit, dependencies=edits_dependencies(finding.rule, finding.path))


def _scratch(desk: Desk) -> tuple[Ledger, RunRecord]:
    """A ledger for the steps of trials, which ends with the clone."""
    ledger = Ledger(desk.workspace.root.parent / "fixbot-trials" / Path("ledger.sqlite"))
    record = RunRecord(desk.result.run, desk.result.repository, desk.result.base, "", int(time.time()), "running")
    ledger.start(record)
    return ledger, record
