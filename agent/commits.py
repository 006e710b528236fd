"""Proven fixes become commits, one a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.events import Committed
from fixbot.agent.report.text import harmless, line
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Rounds, Session, Tree, decide
from fixbot.agent.verify.verdict import Verdict
from fixbot.detectors.finding import Finding
from fixbot.patchers.difference import unified
from fixbot.patchers.layers import layers
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
    stack = layers(patches, tree.base(patches))
    for number, news in stack.steps(range(len(patches))):
        if number is None:
            _commit(session, rounds, news, imports_message({"Fixbot-Run": session.record.id}))
            continue
        patch = stack.patches[number]
        finding, verdict = originals[patch.finding], verdicts[patch.finding]
        if verdict.proof is not None and verdict.proof.kept:
            news[verdict.proof.path] = verdict.proof.source.encode()
        if news:
            _commit(session, rounds, news, fix_message(finding, verdict.to_json(), {"Fixbot-Run": session.record.id}))
            session.emit(Committed(patch.finding, rounds.tip))
        fate = Outcome(finding, Status.FIXED, verdict.reason, patch_json(patch, tree), verdict.to_json(), rounds.tip, rounds.spend(patch))
        decide(session, rounds, fate)


def _commit(session: Session, rounds: Rounds, files: Mapping[str, bytes], message: str) -> None:
    assert rounds.branch is not None
    with session.watch("commit"):
        rounds.tip = ws.commit(session.workspace, rounds.branch, files, message, rounds.tip, session.record.started)
    rounds.commits.append(rounds.tip)


def _branch(session: Session) -> str:
    """The branch's name, remembered: a run that was killed after it had delivered must not take its own branch for another's."""
    name = f"fixbot/{session.workspace.base[:10]}"
    return session.ledger.step(session.record.id, "branch", lambda: ws.free_branch(session.workspace, name), str, str)


def fix_message(finding: Finding, verdict: Mapping[str, Any], trailers: Mapping[str, str]) -> str:
    """The message of a fix's commit. Text of the repository has no effect in it: it makes no trailer, mentions nobody, closes nothing."""
    name, place, said = (harmless(line(text)) for text in (finding.path.rpartition("/")[2], finding.path, finding.message))
    lines, proof = verdict["changed_lines_covered"], verdict["proof_test"]
    grade = verdict["grade"]
    evidence = f"{grade}: {lines['executed']} of {lines['changed']} changed lines executed by passing tests" if lines["changed"] else grade
    shown = f"Proof: {harmless(line(proof['path']))} fails without this change and passes with it.\n\n" if proof and proof["kept"] else ""
    return (
        f"fix: {finding.rule} in {name}\n\n{place}:{finding.span.line}: {said}\n\n"
        f"Evidence: {evidence}; {verdict['tests_before']} tests passed before, {verdict['tests_after']} after.\n\n{shown}"
        f"Fixbot-Rule: {finding.rule}\nFixbot-Finding: {finding.fingerprint}\n{_trailers(trailers)}"
    )


def imports_message(trailers: Mapping[str, str]) -> str:
    """The message of the commit that comes first where several fixes need the same imports."""
    return (
        f"chore: imports that several of the next fixes need\n\nWith them here, each of the fixes can be left out.\n\n{_trailers(trailers)}"
    )


def _trailers(trailers: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in trailers.items())


def patch_json(patch: Patch, tree: Tree) -> dict[str, Any]:
    """A patch as run reports hold it, with its diff."""
    base = tree.base([patch])
    diff = "".join(unified(path, base[path], data) for path, data in apply_patches([patch], base).items())
    data = patch.to_json()
    return {key: data[key] for key in ("origin", "safety", "bases", "edits")} | {"diff": diff}
