"""With ``--describe``, a model describes each proven fix for its pull request. It is asked after everything else is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from fixbot.agent.events import Note, Progress
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Rounds, Session
from fixbot.patchers.model.conversation import Spend
from fixbot.patchers.model.description import describe
from fixbot.patchers.model.messages import ModelError


def describe_fixes(session: Session, rounds: Rounds) -> None:
    """Add ``words``, {model, text}, to the patch of each fix that the model describes; a fix goes without where it cannot be asked."""
    fixed = [one for one in rounds.fates.values() if one.status is Status.FIXED and one.patch]
    if session.model is None or rounds.model_problem or not session.settings.describe or not fixed:
        return
    with session.watch("describe"):
        session.emit(Progress("descriptions", 0, len(fixed)))
        with ThreadPoolExecutor(session.settings.model_jobs) as pool:
            for done, outcome in enumerate(pool.map(partial(_described, session), fixed), 1):
                rounds.fates[outcome.finding.fingerprint] = outcome
                session.emit(Progress("descriptions", done, len(fixed)))


def _described(session: Session, one: Outcome) -> Outcome:
    assert session.model is not None
    assert one.patch is not None
    try:
        words, spend = describe(one.finding, one.patch["diff"], session.model)
    except ModelError as error:
        session.emit(Note(f"{one.finding.rule} in {one.finding.path}: no description: {error}"))
        return one
    before = one.spend or {"model": None, "tokens": 0, "cost": None}
    spend.merge(Spend(before["model"] or "", before["tokens"], before["cost"]))
    return replace(one, patch={**one.patch, "words": {"model": spend.model, "text": words}}, spend=spend.to_json())
