"""One run from end to end: scan -> patch -> verify -> commit -> deliver. Every costly step is remembered in the ledger."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.config import DELIVERY_KEYS, Settings
from fixbot.agent.decisions import Decision, Kind, honour, in_force
from fixbot.agent.describing import describe_fixes
from fixbot.agent.environments import Environment
from fixbot.agent.errors import UsageError
from fixbot.agent.events import Delivered, Emit, Found, Note, Started
from fixbot.agent.failing import failing_tests
from fixbot.agent.focus import NO_FOCUS, Focus, with_extra
from fixbot.agent.judging import ensure_baseline
from fixbot.agent.model import open_model, save_recording
from fixbot.agent.proposals import NO_MODEL
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.rounds import fix_rounds
from fixbot.agent.sandbox.choose import choose, weaknesses
from fixbot.agent.session import Rounds, decide
from fixbot.agent.store import Ledger, RunRecord
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.workshop import Workshop
from fixbot.detectors.finding import Finding, FixKind, Safety
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import is_selected
from fixbot.detectors.scan import Options, Scan
from fixbot.patchers.difference import unified
from fixbot.patchers.model.budget import Budget
from fixbot.patchers.model.keys import Key
from fixbot.patchers.model.messages import Model


def run(
    path: Path,
    settings: Settings,
    emit: Emit,
    *,
    focus: Focus = NO_FOCUS,
    deliver: bool = True,
    resume: bool = False,
    state: Path | None = None,
    key: Key | None = None,
    model: Model | None = None,
) -> RunResult:
    """Find, fix, prove and deliver for the repository that holds ``path``. Raises FixbotError.

    The user's work tree, index and HEAD are never touched; what comes back is one new branch ``fixbot/...``, if anything was proven, or
    with ``deliver=False`` no branch but its diff. ``state`` is the folder for ledger, cache and clone (default: the user's state folder).
    ``key`` is the model endpoint's; ``model`` takes the place of the one that the settings name.
    """
    state = state or ws.state_dir()
    repository = ws.locate(path)
    with closing(Ledger(state / "ledger.sqlite")) as ledger, ws.lock(state, repository):
        sandbox = choose(settings.sandbox, repository)
        digest = _digest(settings, focus)
        record = _resumed(ledger, repository, digest) if resume else _new(ledger, repository, digest)
        _remove_leftovers(ledger, state, record)
        workspace = ws.open_workspace(repository, state, record.id, trust_owner=settings.trust_owner)
        try:
            if record.base not in ("", workspace.base):
                raise UsageError(f"the repository has moved on since run {record.id} began", "start a new run without --resume")
            ledger.set_base(record.id, workspace.base)
            emit(Started(record.id, str(repository), workspace.base, sandbox.name, resume))
            opened = (model, Budget()) if model is not None else open_model(settings, key or Key(), ledger, record.id)
            this, budget = opened or (None, Budget())
            shop = Workshop(workspace, settings, sandbox, ledger, record, state, emit, this, budget)
            result = _Run(shop, focus, deliver).execute()
            ledger.finish(record.id, "finished", result.to_json())
            if settings.record is not None:
                save_recording(settings.record, ledger, record.id)
            return result
        except BaseException:
            ledger.finish(record.id, "interrupted")
            raise
        finally:
            ws.remove(workspace)


def _new(ledger: Ledger, repository: Path, digest: str) -> RunRecord:
    started = int(time.time())
    name = f"{time.strftime('%Y%m%d', time.gmtime(started))}-{secrets.token_hex(3)}"
    record = RunRecord(name, str(repository), "", digest, started, "running")
    ledger.start(record)
    return record


def _remove_leftovers(ledger: Ledger, state: Path, current: RunRecord) -> None:
    """Clear away what killed runs of this repository, this one included, have left; the lock is held, so none of them is alive."""
    for record in ledger.runs(current.repository):
        shutil.rmtree(state / "runs" / record.id, ignore_errors=True)


def _resumed(ledger: Ledger, repository: Path, digest: str) -> RunRecord:
    unfinished = next((record for record in ledger.runs(str(repository)) if record.status != "finished"), None)
    if unfinished is None:
        raise UsageError("there is no unfinished run of this repository to resume", "start one: fixbot run")
    if unfinished.settings != digest:
        raise UsageError(f"run {unfinished.id} was started with other settings", "repeat its flags, or start a new run without --resume")
    return unfinished


def _digest(settings: Settings, focus: Focus) -> str:
    data = settings.model_dump(mode="json", exclude={"jobs", "cache", "record", "model_jobs", *DELIVERY_KEYS}) | {"focus": focus.to_json()}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Run:
    shop: Workshop
    focus: Focus
    deliver: bool

    def execute(self) -> RunResult:
        """The stages in order."""
        notes = [*self.shop.workspace.notes, *weaknesses(self.shop.sandbox)]
        for note in notes:
            self.shop.emit(Note(note))
        with self.shop.watch("scan"):
            found = self._first_scan()
        found = honour(found, self._decided(found.findings))
        fates, pending = _sort(found, self.shop.settings, self.shop.model is not None)
        self.shop.emit(Found(len(found.findings), len(pending), len(found.files)))
        environment, rounds = None, Rounds(self.shop.workspace.base, fates)
        runner: SuiteRunner | None = None
        tests_wanted = self._wants_failing_tests(bool(pending))
        if pending or tests_wanted:
            with self.shop.watch("environment"):
                environment = self.shop.environment()
            if isinstance(environment, Environment):
                notes += environment.notes
                runner = self.shop.runner(environment)
            reason = environment if isinstance(environment, str) else ""
            if tests_wanted and runner is not None:
                pending += self._failing_tests(runner, rounds)
            rounds = fix_rounds(self.shop, runner, reason, rounds, pending)
            describe_fixes(self.shop, rounds)
        branch = self._deliver(rounds)
        return self._result(found, rounds, branch, environment, notes, runner)

    def _first_scan(self) -> Scan:
        """The scan of the base, narrowed to what was asked for, with the results of other tools and the entries of bug reports."""
        focus, workspace, settings = self.focus, self.shop.workspace, self.shop.settings
        since = focus.changed_since
        changed = ws.changed_between(workspace.repository, since, workspace.base) if since else None
        options = Options(settings.select, settings.ignore, baseline=focus.known, changed=changed)
        found = with_extra(self.shop.scan_with(workspace.root, workspace.base, options), focus, options)
        if not settings.bug_report:
            return found
        from fixbot.agent.bug_reports import with_reports

        return with_reports(found, self.shop.project(workspace.root, workspace.base), settings.bug_report, options)

    def _decided(self, findings: Iterable[Finding]) -> dict[str, Decision]:
        """What people decided about these findings, as far as it still holds."""
        decisions = self.shop.ledger.decisions(str(self.shop.workspace.repository))
        return in_force(findings, decisions, lambda path: (self.shop.workspace.root / path).read_bytes())

    def _wants_failing_tests(self, pending: bool) -> bool:
        """Whether the suite's failing tests are findings: where it runs anyway, with a model, or when they are asked for by name."""
        settings = self.shop.settings
        chosen = {"failing-test", "tests"} & set(settings.select)
        return is_selected("failing-test", settings.select, settings.ignore) and bool(pending or self.shop.model or chosen)

    def _failing_tests(self, runner: SuiteRunner, rounds: Rounds) -> list[Finding]:
        """The failing tests that a model shall work on; without one they are decided here."""
        ensure_baseline(self.shop, runner, rounds)
        found = failing_tests(self.shop, runner, rounds, self.shop.project(self.shop.workspace.root, self.shop.workspace.base))
        held, pending = self._decided(found), list[Finding]()
        for finding in found:
            one = held.get(finding.fingerprint)
            if one is not None and one.rejects:
                status = Status.SUPPRESSED if one.kind is Kind.FALSE_POSITIVE else Status.NOT_ATTEMPTED
                decide(self.shop, rounds, Outcome(finding, status, one.words))
            elif self.shop.model is None:
                decide(self.shop, rounds, Outcome(finding, Status.NEEDS_MODEL, NO_MODEL))
            else:
                pending.append(finding)
        return pending

    def _deliver(self, rounds: Rounds) -> str | None:
        if rounds.tip == self.shop.workspace.base or rounds.branch is None or not self.deliver:
            return None
        with self.shop.watch("deliver"):
            ws.deliver(self.shop.workspace, rounds.branch, rounds.tip)
        self.shop.emit(Delivered(rounds.branch, rounds.tip, len(rounds.commits)))
        return rounds.branch

    def _diff(self, rounds: Rounds) -> str:
        """All proven fixes as one diff of the base."""
        paths = sorted({path for fate in rounds.fates.values() if fate.commit and fate.patch for path in fate.patch["bases"]})

        workspace = self.shop.workspace
        sides = ((path, ws.read(workspace, workspace.base, path), ws.read(workspace, rounds.tip, path)) for path in paths)
        return "".join(unified(path, old, new, errors="surrogateescape") for path, old, new in sides)

    def _result(
        self,
        found: Scan,
        rounds: Rounds,
        branch: str | None,
        environment: Environment | str | None,
        notes: list[str],
        runner: SuiteRunner | None,
    ) -> RunResult:
        order = {finding.fingerprint: index for index, finding in enumerate((*found.findings, *found.suppressed))}
        fates = rounds.fates.values() if branch else (replace(fate, commit=None) for fate in rounds.fates.values())
        return RunResult(
            run=self.shop.record.id,
            repository=str(self.shop.workspace.repository),
            base=self.shop.workspace.base,
            branch=branch,
            tip=rounds.tip if branch else None,
            outcomes=tuple(sorted(fates, key=lambda fate: order.get(fate.finding.fingerprint, len(order)))),
            files=len(found.files),
            clean_files=found.clean_files,
            skipped=found.skipped,
            notes=tuple(dict.fromkeys((*notes, *rounds.notes))),
            tests=rounds.tests,
            suite_runs=runner.runs if runner else 0,
            seconds=self.shop.watch.seconds,
            sandbox=self.shop.sandbox.name,
            environment=environment.description if isinstance(environment, Environment) else environment or "",
            diff=None if self.deliver else self._diff(rounds),
            spend=self.shop.spend(rounds),
            reports=found.reports,
            rules=found.rules,
            whole=self.focus.changed_since is None and not self.focus.known,
        )


def _sort(found: Scan, settings: Settings, asks: bool) -> tuple[dict[str, Outcome], list[Finding]]:
    """Fates that are clear at once, and the findings that a codemod may fix, worst first."""
    muted = ((finding, found.decided.get(finding.fingerprint, "muted by a comment")) for finding in found.suppressed)
    fates = {finding.fingerprint: Outcome(finding, Status.SUPPRESSED, why) for finding, why in muted}
    pending: list[Finding] = []
    for finding in found.findings:
        fate = _early_fate(finding, settings, asks, found.decided.get(finding.fingerprint, ""))
        if fate is None:
            pending.append(finding)
        else:
            fates[finding.fingerprint] = Outcome(finding, *fate)
    return fates, sorted(pending, key=lambda finding: (finding.severity.rank, finding.path, finding.span))


def _early_fate(finding: Finding, settings: Settings, asks: bool, rejected: str) -> tuple[Status, str] | None:
    if finding.fix.kind is FixKind.NONE:
        return Status.NOT_ATTEMPTED, "reported only"
    if is_test(finding.path):
        return Status.NOT_ATTEMPTED, "in test code, which fixes do not touch"
    if rejected:
        return Status.NOT_ATTEMPTED, rejected
    if finding.fix.kind is FixKind.MODEL:
        return None if asks else (Status.NEEDS_MODEL, NO_MODEL)
    if finding.fix.safety is Safety.UNSAFE and not settings.unsafe_fixes:
        return Status.NOT_ATTEMPTED, "its fix may change behaviour elsewhere; allow it with --unsafe-fixes"
    return None
