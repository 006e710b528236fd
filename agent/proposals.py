"""From findings to patches that may be tried: codemods first, a model for what they leave, each patch through the gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fixbot.agent.commits import patch_json
from fixbot.agent.events import Progress
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Feedback, Rounds, Session, Tree, decide
from fixbot.detectors.finding import Finding, FixKind
from fixbot.detectors.project import Project, discover, is_generated
from fixbot.detectors.registry import all_rules
from fixbot.patchers.edits import GateError, check_patch, edits_dependencies
from fixbot.patchers.model.context import Context, build_context
from fixbot.patchers.model.conversation import Candidate, Conversation, Declined, Failed, Rules
from fixbot.patchers.model.messages import EndpointError, ModelError, OverBudgetError
from fixbot.patchers.patch import Patch
from fixbot.patchers.propose import Proposal, propose

MIN_TRIES = 5
"""So many model fixes of a rule must have been tried before their success says anything."""

NO_MODEL = "no codemod for this shape; needs a model: --model"


@dataclass(slots=True)
class Proposed:
    """What a round may try: one patch a finding; ``candidates`` where a model gave more than one to choose from."""

    patches: list[Patch] = field(default_factory=list[Patch])
    candidates: dict[str, list[Candidate]] = field(default_factory=dict[str, list[Candidate]])


def propose_fixes(session: Session, rounds: Rounds, tree: Tree, pending: Sequence[Finding], number: int) -> Proposed:
    """Patches for the pending findings, on the tree as it is; those that get none are decided here."""
    session.emit(Progress("patch", 0, len(pending)))
    here = [tree.findings[finding.fingerprint] for finding in pending]
    found = Proposed()
    asked: list[Finding] = []
    with session.watch("patch"):
        for finding, proposal in zip(pending, _codemods(session, rounds, here, tree, number), strict=True):
            if proposal.patch is None:
                if _goes_to_model(session, rounds, tree, finding, proposal.reason):
                    asked.append(tree.findings[finding.fingerprint])
                continue
            try:
                check_patch(proposal.patch, tree.root, tree.tracked, dependencies=edits_dependencies(finding.rule, finding.path))
            except GateError as error:
                decide(session, rounds, Outcome(finding, Status.FAILED, str(error), patch_json(proposal.patch, tree)))
            else:
                found.patches.append(proposal.patch)
    if asked:
        with session.watch("model"):
            _ask_all(session, rounds, tree, asked, found, {finding.fingerprint: finding for finding in pending})
    return found


def _codemods(session: Session, rounds: Rounds, findings: Sequence[Finding], tree: Tree, number: int) -> Iterable[Proposal]:
    """A proposal for each finding; remembered. What a person gives comes first; what a model is at work on is not tried again."""

    def load(data: list[dict[str, Any]]) -> list[Proposal]:
        return [Proposal.from_json(entry) for entry in data]

    taken = rounds.conversations.keys() | rounds.given.keys()
    wanted = [finding for finding in findings if finding.fix.kind is FixKind.CODEMOD and finding.fingerprint not in taken]
    made = session.ledger.step(
        session.record.id,
        f"proposals:{number}:{len(wanted)}",
        lambda: list(propose(wanted, tree.root)),
        load,
        lambda proposals: [proposal.to_json() for proposal in proposals],
    )
    known = {proposal.finding: proposal for proposal in made}
    known |= {finding: Proposal(finding, patch) for finding, patch in rounds.given.items()}
    return [known.get(finding.fingerprint, Proposal(finding.fingerprint)) for finding in findings]


def _goes_to_model(session: Session, rounds: Rounds, tree: Tree, finding: Finding, reason: str) -> bool:
    """Whether a model shall be asked; where not, the finding is decided."""
    if finding.fingerprint in rounds.conversations:
        return True
    why = reason or NO_MODEL
    if session.model is None or rounds.model_problem:
        status = Status.ABSTAINED if reason else Status.NEEDS_MODEL
        decide(session, rounds, Outcome(finding, status, rounds.model_problem or why))
        return False
    if is_generated((tree.root / finding.path).read_bytes()):
        decide(session, rounds, Outcome(finding, Status.ABSTAINED, "in a file that a program wrote: fix what writes it"))
        return False
    tried, proven = session.ledger.model_success(finding.rule)
    if tried >= MIN_TRIES and proven / tried < session.settings.model_floor:
        text = f"{proven} of {tried} model fixes of {finding.rule} were proven so far, below the floor of {session.settings.model_floor:g}"
        decide(session, rounds, Outcome(finding, Status.ABSTAINED, text))
        return False
    return True


# The model


def _ask_all(
    session: Session, rounds: Rounds, tree: Tree, findings: Sequence[Finding], found: Proposed, originals: Mapping[str, Finding]
) -> None:
    """Ask about several findings at once; answers are taken in the order of the findings, whenever they come."""
    project = discover(tree.root, tree.tracked, session.settings.exclude)
    assert session.model is not None
    for finding in findings:
        build = partial(_context, finding, project)
        known = rounds.conversations.get(finding.fingerprint)
        if known is None:
            known = Conversation(finding, session.model, build, session.settings.prompt_tokens)
            rounds.conversations[finding.fingerprint] = known
        known.build = build  # the tree of the last round is gone
    done = 0
    session.emit(Progress("model", 0, len(findings)))
    with ThreadPoolExecutor(session.settings.model_jobs) as pool:
        asked = [(finding, pool.submit(_ask, session, rounds, tree, finding)) for finding in findings]
        for finding, answer in asked:
            original = originals[finding.fingerprint]
            try:
                candidates = answer.result()
            except ModelError as error:
                _no_answer(session, rounds, original, error)
            except Declined as error:
                decide(session, rounds, Outcome(original, Status.ABSTAINED, str(error), spend=_spend(rounds, finding)))
            except Failed as error:
                _give_up(session, rounds, original, str(error))
            else:
                rounds.feedback.pop(finding.fingerprint, None)
                found.patches.append(candidates[0].patch)
                found.candidates[finding.fingerprint] = candidates
            done += 1
            session.emit(Progress("model", done, len(findings)))


def _context(finding: Finding, project: Project, limit: int) -> Context:
    return build_context(finding, project, limit=limit, dependencies=edits_dependencies(finding.rule, finding.path))


def _ask(session: Session, rounds: Rounds, tree: Tree, finding: Finding) -> list[Candidate]:
    if rounds.model_problem:
        raise EndpointError(rounds.model_problem)
    conversation = rounds.conversations[finding.fingerprint]
    rules = Rules(
        tree.root,
        tree.tracked,
        all_rules()[finding.rule].allows,
        edits_dependencies(finding.rule, finding.path),
        session.settings.max_lines,
    )
    feedback = rounds.feedback.get(finding.fingerprint)
    try:
        if feedback is not None:
            found = [conversation.repair(rules, feedback.reason, feedback.output)]
        elif conversation.answered:
            found = [conversation.redo(rules)]
        else:
            found = conversation.propose(rules, session.settings.candidates)
    except EndpointError as error:
        rounds.model_problem = rounds.model_problem or str(error)  # at once, so that the others need not ask
        raise
    conversation.resume_at(found[0])
    return found


def _no_answer(session: Session, rounds: Rounds, finding: Finding, error: ModelError) -> None:
    if isinstance(error, OverBudgetError):
        status = Status.OVER_BUDGET
    elif isinstance(error, EndpointError):
        status, rounds.model_problem = Status.NEEDS_MODEL, str(error)
        if str(error) not in rounds.notes:
            rounds.notes.append(str(error))
    else:
        status = Status.FAILED
    decide(session, rounds, Outcome(finding, status, str(error), spend=_spend(rounds, finding)))


def _give_up(session: Session, rounds: Rounds, finding: Finding, reason: str) -> None:
    """No repair round is left: what the last try came to counts, where there was one."""
    last = rounds.feedback.get(finding.fingerprint)
    spend = _spend(rounds, finding)
    if last is not None and last.reason == reason:
        decide(session, rounds, replace(last.outcome, spend=spend))
    else:
        decide(session, rounds, Outcome(finding, Status.FAILED, reason.partition("\n")[0], spend=spend))  # the rest is for the model


def _spend(rounds: Rounds, finding: Finding) -> dict[str, Any] | None:
    conversation = rounds.conversations.get(finding.fingerprint)
    return conversation.spend.to_json() if conversation else None


def retry(session: Session, rounds: Rounds, outcome: Outcome, reason: str, output: str = "") -> bool:
    """Whether a model may mend what was wrong with its fix. Where not, the outcome is final and decided."""
    conversation = rounds.conversations.get(outcome.finding.fingerprint)
    if conversation is None or not conversation.repairs:
        decide(session, rounds, replace(outcome, spend=_spend(rounds, outcome.finding)))
        return False
    rounds.feedback[outcome.finding.fingerprint] = Feedback(reason, output, outcome)
    return True
