"""Verify a batch of patches with the target's tests: baseline, the batch, bisection, evidence, proof tests, then commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fixbot.agent.commits import commit_fixes, patch_json
from fixbot.agent.proposals import Proposed, retry
from fixbot.agent.proving import prove
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Rounds, Session, Tree, decide
from fixbot.agent.verify.batch import Batch, verify_batch
from fixbot.agent.verify.evidence import Lines, Place, evidence_lines, executed, watched
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.suite import SuiteResult
from fixbot.agent.verify.verdict import TIMEOUT, Baseline, Delta, Grade, Proof, Verdict, compare, make_baseline
from fixbot.detectors.finding import Finding
from fixbot.patchers.model.conversation import Candidate
from fixbot.patchers.patch import Origin, Patch, apply_patches

_GRADES = list(Grade)


def ensure_baseline(session: Session, runner: SuiteRunner | None, rounds: Rounds) -> None:
    """Run the suite without fixes, unless that was done. The rounds get the baseline and its figures."""
    if runner is None or rounds.baseline is not None:
        return
    with session.watch("baseline"):
        runs: list[SuiteResult] = []
        for number in range(1, session.settings.baseline_runs + 1):
            label = "tests without fixes" + (f", run {number}" if number > 1 else "")
            runs.append(_again(runner, rounds.tip, runs[0], label) if runs else runner.run(rounds.tip, {}, label=label))
            if not runs[-1].complete:
                break
    baseline = make_baseline(runs)
    rounds.baseline = baseline
    rounds.notes += [note for run in runs for note in run.notes]
    rounds.tests = {
        "passed": baseline.passing,
        "failed": len(baseline.failing),
        "flaky": list(baseline.flaky),
        "collection_errors": sorted(runs[0].collection_errors),
        "problem": baseline.problem,
        "seconds": round(runs[0].seconds, 3),
    }


def _again(runner: SuiteRunner, commit: str, first: SuiteResult, label: str) -> SuiteResult:
    """A further run to find flaky tests. Tests that hung are taken as they were: to wait for them again would tell nothing."""
    hung = {name: test for name, test in first.tests.items() if test.detail.startswith(TIMEOUT)}
    others = [name for name in first.collected if name not in hung]
    run = runner.run(commit, {}, label=label, select=others if hung and others else None)
    return replace(run, tests={**run.tests, **hung}) if hung else run


def judge_batch(
    session: Session,
    runner: SuiteRunner | None,
    reason: str,
    rounds: Rounds,
    tree: Tree,
    patches: list[Patch],
    originals: Mapping[str, Finding],
) -> set[str]:
    """Commit the patches that make no test worse; decide the others, or give them back (by finding) for a model to mend.

    Without a ``runner`` nothing can be verified; ``reason`` says why.
    """
    ensure_baseline(session, runner, rounds)
    problem = rounds.baseline.problem if rounds.baseline else reason
    if runner is None or rounds.baseline is None or problem:
        verdict = Verdict(Grade.UNVERIFIABLE, problem)
        for patch in patches:
            outcome = Outcome(
                originals[patch.finding],
                Status.UNVERIFIABLE,
                problem,
                patch_json(patch, tree),
                verdict.to_json(),
                spend=rounds.spend(patch),
            )
            decide(session, rounds, outcome)
        return set()
    baseline = rounds.baseline
    with session.watch("verify"):
        batch, lines, last = _judge(runner, baseline, tree, patches)
    again: set[str] = set()
    for patch in patches:
        if patch.finding in batch.rejected:
            delta = batch.rejected[patch.finding]
            why = _blame(delta, tree.findings[patch.finding])
            outcome = Outcome(originals[patch.finding], Status.REGRESSED, why, patch_json(patch, tree), _verdict(baseline, delta).to_json())
            if retry(session, rounds, outcome, why, delta.output):
                again.add(patch.finding)
    if last is not None:
        verdicts = {patch.finding: _grade(baseline, batch, lines[patch.finding], last) for patch in batch.accepted}
        proofs = prove(session, runner, rounds, tree, batch.accepted, lines)
        verdicts |= {
            patch.finding: _with_proof(
                verdicts[patch.finding],
                patch,
                tree.findings[patch.finding],
                proofs.get(patch.finding),
                executed(lines[patch.finding], last)[0],
            )
            for patch in batch.accepted
        }
        commit_fixes(session, rounds, tree, batch.accepted, verdicts, originals)
        rounds.baseline = _next_baseline(baseline, last)
    return again


def _judge(
    runner: SuiteRunner, baseline: Baseline, tree: Tree, patches: Sequence[Patch]
) -> tuple[Batch, dict[str, Lines], SuiteResult | None]:
    """Verify a batch; the evidence lines and the whole run are those of the accepted patches together."""
    base = tree.base(patches)
    last: SuiteResult | None = None
    lines: dict[str, Lines] = {}

    def judge(some: Sequence[Patch], select: tuple[str, ...] | None) -> Delta:
        nonlocal last, lines
        changed = apply_patches(some, base)
        demanded = {test for patch in some for test in tree.findings[patch.finding].tests}
        label = f"tests with {len(some)} {'fix' if len(some) == 1 else 'fixes'}"
        if select is not None:
            label = f"{label}, only {len(select)} that failed"
            run = runner.run(tree.commit, changed, label=label, patches=len(some), select=select)
            return compare(baseline, run, frozenset(select), demanded)
        lines = evidence_lines(some, tree.findings, base, changed)
        last = runner.run(tree.commit, changed, label=label, patches=len(some), watch=watched(lines.values()))
        return compare(baseline, last, demanded=demanded)

    owners = {test: patch.finding for patch in patches for test in tree.findings[patch.finding].tests}
    batch = verify_batch(patches, judge, wary=bool(baseline.flaky), owners=owners)
    return batch, lines, last if batch.accepted else None


def choose(session: Session, runner: SuiteRunner | None, rounds: Rounds, tree: Tree, found: Proposed) -> None:
    """Where a model gave several candidates, let the suite say which is the best: by grade, then by the smallest change.

    The chosen ones take their findings' places in ``found.patches``.
    """
    several = {finding: ones for finding, ones in found.candidates.items() if len(ones) > 1}
    if not several or runner is None:
        return
    ensure_baseline(session, runner, rounds)
    baseline = rounds.baseline
    if baseline is None or baseline.problem:
        return
    for finding, candidates in several.items():
        with session.watch("verify"):
            ranked = [(_rank(runner, baseline, tree, one), index) for index, one in enumerate(candidates)]
        best = candidates[min(ranked)[1]]
        rounds.conversations[finding].resume_at(best)
        found.patches = [best.patch if patch.finding == finding else patch for patch in found.patches]


def _rank(runner: SuiteRunner, baseline: Baseline, tree: Tree, candidate: Candidate) -> tuple[int, int]:
    """Smaller is better: the grade, worse than all grades where a test gets worse; then the lines that are not executed."""
    batch, lines, last = _judge(runner, baseline, tree, [candidate.patch])
    if last is None:
        return len(_GRADES), len(next(iter(batch.rejected.values())).newly_failing)
    verdict = _grade(baseline, batch, lines[candidate.patch.finding], last)
    return _GRADES.index(verdict.grade), verdict.lines[1] - verdict.lines[0]


# Words and grades


def _blame(delta: Delta, finding: Finding) -> str:
    if delta.problem:
        return f"with the fix the suite does not come to its end: {delta.problem}"
    if delta.newly_failing and set(delta.newly_failing) <= set(finding.tests):
        return f"{delta.newly_failing[0]} still fails with the fix"
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


def _grade(baseline: Baseline, batch: Batch, lines: Lines, run: SuiteResult) -> Verdict:
    seen, tests = executed(lines, run)
    done, total = len(seen), sum(map(len, lines.values()))
    verdict = replace(_verdict(baseline, batch.final), lines=(done, total), executed_by=tests)
    if not run.line_evidence:
        return replace(verdict, reason="executed lines could not be observed")
    if total and done == total:
        return replace(verdict, grade=Grade.VERIFIED)
    if not total:
        return replace(verdict, reason="the change is not in code that runs")
    return replace(verdict, reason=f"{done} of {total} changed lines executed by passing tests")


def _with_proof(verdict: Verdict, patch: Patch, finding: Finding, proof: Proof | None, seen: frozenset[Place]) -> Verdict:
    """A model's fix is verified only when some test fails without it: its own proof test, or the failing tests that it is for.

    What that test executes counts together with the lines ``seen`` in the suite. Where a fix only takes out code and no line can show
    that (see ``evidence_lines``), such a test is all the evidence that there can be.
    """
    if proof is not None and proof.kept:
        total = verdict.lines[1]
        done = len(seen | proof.executed)
        removes = not total and all(edit.path.endswith((".py", ".pyw")) and not edit.data for edit in patch.edits)
        if removes or (total and done == total):
            reason = "it only takes out code" if removes else ""
            return replace(verdict, grade=Grade.VERIFIED, lines=(done, total), proof=proof, reason=reason)
        reason = f"{done} of {total} changed lines executed by passing tests" if total else verdict.reason
        return replace(verdict, lines=(done, total), reason=reason, proof=proof)
    verdict = replace(verdict, proof=proof)
    if patch.origin is Origin.MODEL and verdict.grade is Grade.VERIFIED and not finding.tests:
        why = f": {proof.reason}" if proof is not None and proof.reason else ""
        return replace(verdict, grade=Grade.CHECKED, reason=f"no test that fails without the fix{why}")
    return verdict


def _next_baseline(baseline: Baseline, run: SuiteResult) -> Baseline:
    """The accepted fixes' own whole run is what the next round is compared with."""
    stable = {name: run.tests[name].outcome for name in baseline.stable if name in run.tests}
    return replace(baseline, stable=stable)
