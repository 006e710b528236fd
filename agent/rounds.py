"""Fix findings in rounds: patches that do not touch each other are verified and committed together, the others on top of them.

A round: propose on the tree so far -> gate -> take what does not conflict -> run the detectors on the result -> run the suite (baseline
first) -> bisect what fails -> commit each proven fix.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.commits import commit_fixes, patch_json
from fixbot.agent.events import Progress
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Identity, Rounds, Session, Tree, decide, identity
from fixbot.agent.verify.batch import Batch, verify_batch
from fixbot.agent.verify.evidence import Lines, evidence_lines, executed, watched
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.suite import SuiteResult
from fixbot.agent.verify.verdict import Baseline, Delta, Grade, Verdict, compare, make_baseline
from fixbot.detectors.finding import Finding
from fixbot.patchers.edits import GateError, check_patch, edits_dependencies
from fixbot.patchers.patch import Patch, apply_patches, conflicts
from fixbot.patchers.propose import Proposal, propose

MAX_ROUNDS = 6


def fix_rounds(session: Session, runner: SuiteRunner | None, reason: str, rounds: Rounds, pending: Sequence[Finding]) -> Rounds:
    """Work until nothing is pending or a round brings nothing. Without a ``runner`` nothing can be verified; ``reason`` says why."""
    originals = {finding.fingerprint: finding for finding in pending}
    for number in range(1, MAX_ROUNDS + 1):
        if not pending:
            break
        with tempfile.TemporaryDirectory(prefix="round-", dir=session.workspace.root.parent) as folder:
            tree = _tree(session, Path(folder) / "tree", rounds.tip, pending)
            for finding in pending:
                if finding.fingerprint not in tree.findings:
                    decide(session, rounds, Outcome(finding, Status.FIXED, "gone after another fix", commit=rounds.tip))
            batch, pending = _batch(session, rounds, tree, [one for one in pending if one.fingerprint in tree.findings], number)
            if batch:
                _verify(session, runner, reason, rounds, tree, batch, originals)
    for finding in pending:
        decide(session, rounds, Outcome(finding, Status.NOT_ATTEMPTED, f"still in conflict with other fixes after {MAX_ROUNDS} rounds"))
    return rounds


def _tree(session: Session, root: Path, commit: str, pending: Sequence[Finding]) -> Tree:
    ws.export(session.workspace, root, commit)
    with session.watch("scan"):
        found = session.scan(root, commit)
    return Tree(root, commit, frozenset(ws.files(session.workspace, commit)), _anchor(pending, found.findings), _count(found.findings))


def _anchor(pending: Sequence[Finding], found: Sequence[Finding]) -> dict[str, Finding]:
    """Pending findings where they stand now, under the fingerprint that they had first. Those that are gone are left out."""
    places: defaultdict[Identity, list[Finding]] = defaultdict(list)
    for finding in found:
        places[identity(finding)].append(finding)
    anchored: dict[str, Finding] = {}
    for finding in sorted(pending, key=lambda one: (one.path, one.span)):
        here = places[identity(finding)]
        if here:
            same = next((one for one in here if one.span == finding.span), here[-1] if len(here) == 1 else here[0])
            here.remove(same)
            anchored[finding.fingerprint] = replace(same, fingerprint=finding.fingerprint)
    return anchored


def _count(findings: Iterable[Finding]) -> Counter[Identity]:
    return Counter(map(identity, findings))


# Propose


def _batch(session: Session, rounds: Rounds, tree: Tree, pending: Sequence[Finding], number: int) -> tuple[list[Patch], list[Finding]]:
    """Patches that can be applied together, and the findings whose patches have to wait for them."""
    session.emit(Progress("patch", 0, len(pending)))
    here = [tree.findings[finding.fingerprint] for finding in pending]
    with session.watch("patch"):
        proposals = _proposals(session, here, tree, number)
    batch: list[Patch] = []
    waiting: list[Finding] = []
    for finding, proposal in zip(pending, proposals, strict=True):
        if proposal.patch is None:
            decide(session, rounds, Outcome(finding, Status.ABSTAINED, proposal.reason))
            continue
        try:
            check_patch(proposal.patch, tree.root, tree.tracked, dependencies=edits_dependencies(finding.rule))
        except GateError as error:
            decide(session, rounds, Outcome(finding, Status.FAILED, str(error), patch_json(proposal.patch, tree)))
            continue
        if any(conflicts(proposal.patch, other) for other in batch):
            waiting.append(finding)
        else:
            batch.append(proposal.patch)
    return _recheck(session, rounds, tree, batch, {finding.fingerprint: finding for finding in pending}), waiting


def _proposals(session: Session, findings: Sequence[Finding], tree: Tree, number: int) -> list[Proposal]:
    def load(data: list[dict[str, Any]]) -> list[Proposal]:
        return [Proposal.from_json(entry) for entry in data]

    return session.ledger.step(
        session.record.id,
        f"proposals:{number}:{len(findings)}",
        lambda: list(propose(findings, tree.root)),
        load,
        lambda proposals: [proposal.to_json() for proposal in proposals],
    )


def _recheck(session: Session, rounds: Rounds, tree: Tree, batch: list[Patch], originals: Mapping[str, Finding]) -> list[Patch]:
    """Run the detectors on the patched tree; drop patches that leave their finding or bring a new one."""
    while batch:
        after = _count(_patched_findings(session, tree, batch))
        gone = Counter(identity(tree.findings[patch.finding]) for patch in batch)
        bad = [(patch, why) for patch in batch if (why := _objection(patch, tree, gone, after))]
        if not bad:
            return batch
        for patch, why in bad:
            batch = [other for other in batch if other is not patch]
            decide(session, rounds, Outcome(originals[patch.finding], Status.FAILED, why, patch_json(patch, tree)))
    return batch


def _patched_findings(session: Session, tree: Tree, batch: Sequence[Patch]) -> Sequence[Finding]:
    changed = apply_patches(batch, tree.base(batch))
    with tempfile.TemporaryDirectory(prefix="patched-", dir=session.workspace.root.parent) as folder, session.watch("scan"):
        root = Path(folder) / "tree"
        ws.export(session.workspace, root, tree.commit, changed)
        return session.scan(root, tree.commit).findings


def _objection(patch: Patch, tree: Tree, gone: Counter[Identity], after: Counter[Identity]) -> str:
    mine = identity(tree.findings[patch.finding])
    if after[mine] > tree.counts[mine] - gone[mine]:
        return "the finding is still there after the fix"
    new = [one for one in after if one[1] in patch.paths and after[one] > tree.counts[one] and one[0] != "unused-suppression"]
    return f"the fix brings a new finding of {new[0][0]}" if new else ""


# Verify


def _verify(
    session: Session,
    runner: SuiteRunner | None,
    reason: str,
    rounds: Rounds,
    tree: Tree,
    patches: list[Patch],
    originals: Mapping[str, Finding],
) -> None:
    if runner is not None and rounds.baseline is None:
        with session.watch("baseline"):
            rounds.baseline = _baseline(session, runner, rounds, tree)
    problem = rounds.baseline.problem if rounds.baseline else reason
    if runner is None or rounds.baseline is None or problem:
        verdict = Verdict(Grade.UNVERIFIABLE, problem)
        for patch in patches:
            fate = Outcome(originals[patch.finding], Status.UNVERIFIABLE, verdict.reason, patch_json(patch, tree), verdict.to_json())
            decide(session, rounds, fate)
        return
    with session.watch("verify"):
        batch, lines, last = _judge(runner, rounds.baseline, tree, patches)
    for patch in patches:
        if patch.finding in batch.rejected:
            delta = batch.rejected[patch.finding]
            fate = Outcome(
                originals[patch.finding],
                Status.REGRESSED,
                _blame(delta),
                patch_json(patch, tree),
                _verdict(rounds.baseline, delta).to_json(),
            )
            decide(session, rounds, fate)
    if last is not None:
        verdicts = {patch.finding: _proof(rounds.baseline, batch, lines[patch.finding], last) for patch in batch.accepted}
        commit_fixes(session, rounds, tree, batch.accepted, verdicts, originals)
        rounds.baseline = _next_baseline(rounds.baseline, last)


def _baseline(session: Session, runner: SuiteRunner, rounds: Rounds, tree: Tree) -> Baseline:
    runs: list[SuiteResult] = []
    for number in range(1, session.settings.baseline_runs + 1):
        label = "tests without fixes" + (f", run {number}" if number > 1 else "")
        runs.append(runner.run(tree.commit, {}, label=label))
        if not runs[-1].complete:
            break
    baseline = make_baseline(runs)
    rounds.notes += [note for run in runs for note in run.notes]
    rounds.tests = {
        "passed": baseline.passing,
        "failed": len(baseline.failing),
        "flaky": list(baseline.flaky),
        "collection_errors": sorted(runs[0].collection_errors),
        "problem": baseline.problem,
        "seconds": round(runs[0].seconds, 3),
    }
    return baseline


def _judge(runner: SuiteRunner, baseline: Baseline, tree: Tree, patches: list[Patch]) -> tuple[Batch, dict[str, Lines], SuiteResult | None]:
    """Verify a batch; the evidence lines and the whole run are those of the accepted patches together."""
    base = tree.base(patches)
    last: SuiteResult | None = None
    lines: dict[str, Lines] = {}

    def judge(some: Sequence[Patch], select: tuple[str, ...] | None) -> Delta:
        nonlocal last, lines
        changed = apply_patches(some, base)
        label = f"tests with {len(some)} {'fix' if len(some) == 1 else 'fixes'}"
        if select is not None:
            label = f"{label}, only {len(select)} that failed"
            run = runner.run(tree.commit, changed, label=label, patches=len(some), select=select)
            return compare(baseline, run, frozenset(select))
        lines = evidence_lines(some, tree.findings, base, changed)
        last = runner.run(tree.commit, changed, label=label, patches=len(some), watch=watched(lines.values()))
        return compare(baseline, last)

    batch = verify_batch(patches, judge, wary=bool(baseline.flaky))
    return batch, lines, last if batch.accepted else None


def _blame(delta: Delta) -> str:
    if delta.problem:
        return f"with the fix the suite does not come to its end: {delta.problem}"
    first, *others = delta.newly_failing
    return f"makes {first} fail" + (f" and {len(others)} more" if others else "")


def _verdict(baseline: Baseline, delta: Delta) -> Verdict:
    return Verdict(
        Grade.CHECKED,
        delta.problem,
        tests_before=baseline.passing,
        tests_after=baseline.passing - len(delta.newly_failing) + len(delta.newly_passing),
        newly_failing=delta.newly_failing,
        newly_passing=delta.newly_passing,
        flaky=tuple(sorted({*baseline.flaky, *delta.flaky})),
    )


def _proof(baseline: Baseline, batch: Batch, lines: Lines, run: SuiteResult) -> Verdict:
    done, total, tests = executed(lines, run)
    verdict = replace(_verdict(baseline, batch.final), lines=(done, total), executed_by=tests)
    if not run.line_evidence:
        return replace(verdict, reason="executed lines could not be observed")
    if total and done == total:
        return replace(verdict, grade=Grade.VERIFIED)
    if not total:
        return replace(verdict, reason="the change is not in code that runs")
    return replace(verdict, reason=f"{done} of {total} changed lines executed by passing tests")


def _next_baseline(baseline: Baseline, run: SuiteResult) -> Baseline:
    """The accepted fixes' own whole run is what the next round is compared with."""
    stable = {name: run.tests[name].outcome for name in baseline.stable if name in run.tests}
    return replace(baseline, stable=stable)
