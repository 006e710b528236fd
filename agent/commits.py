"""Proven fixes become commits, one a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.events import Committed
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Rounds, Session, Tree, decide
from fixbot.agent.verify.verdict import Verdict
from fixbot.detectors.finding import Finding
from fixbot.patchers.difference import unified
from fixbot.patchers.patch import Patch, apply_patches


def commit_fixes(
    session: Session,
    rounds: Rounds,
    tree: Tree,
    patches: Sequence[Patch],
    verdicts: Mapping[str, Verdict],
    originals: Mapping[str, Finding],
) -> None:
    """Make each proven fix a commit of its own on the run's branch, in the order of the patches."""
    rounds.branch = rounds.branch or _branch(session)
    before: dict[str, bytes] = {}
    for index, patch in enumerate(patches):
        changed = apply_patches(patches[: index + 1], tree.base(patches))
        finding, verdict = originals[patch.finding], verdicts[patch.finding]
        news = {path: data for path, data in changed.items() if before.get(path, (tree.root / path).read_bytes()) != data}
        before.update(changed)
        if verdict.proof is not None and verdict.proof.kept:
            news[verdict.proof.path] = verdict.proof.source.encode()
        if news:
            with session.watch("commit"):
                message = _message(finding, verdict, session.record.id)
                rounds.tip = ws.commit(session.workspace, rounds.branch, news, message, rounds.tip, session.record.started)
            rounds.commits.append(rounds.tip)
            session.emit(Committed(patch.finding, rounds.tip))
        fate = Outcome(finding, Status.FIXED, verdict.reason, patch_json(patch, tree), verdict.to_json(), rounds.tip, rounds.spend(patch))
        decide(session, rounds, fate)


def _branch(session: Session) -> str:
    """The branch's name, remembered: a run that was killed after it had delivered must not take its own branch for another's."""
    name = f"fixbot/{session.workspace.base[:10]}"
    return session.ledger.step(session.record.id, "branch", lambda: ws.free_branch(session.workspace, name), str, str)


def _message(finding: Finding, verdict: Verdict, run: str) -> str:
    name = finding.path.rpartition("/")[2]
    done, total = verdict.lines
    proof = f"Proof: {verdict.proof.path} fails without this change and passes with it.\n\n" if verdict.proof and verdict.proof.kept else ""
    evidence = f"{verdict.grade.value}: {done} of {total} changed lines executed by passing tests" if total else verdict.grade.value
    return (
        f"fix: {finding.rule} in {name}\n\n{finding.path}:{finding.span.line}: {finding.message}\n\n"
        f"Evidence: {evidence}; {verdict.tests_before} tests passed before, {verdict.tests_after} after.\n\n{proof}"
        f"Fixbot-Rule: {finding.rule}\nFixbot-Finding: {finding.fingerprint}\nFixbot-Run: {run}\n"
    )


def patch_json(patch: Patch, tree: Tree) -> dict[str, Any]:
    """A patch as run reports hold it, with its diff."""
    base = tree.base([patch])
    diff = "".join(unified(path, base[path], data) for path, data in apply_patches([patch], base).items())
    data = patch.to_json()
    return {key: data[key] for key in ("origin", "safety", "bases", "edits")} | {"diff": diff}
