"""Several answers to one question: what each of them is worth when others fail, over HTTP and the real client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import write_tree
from model_server import Server, Step, failure, serve

from fixbot.detectors.finding import MODEL, Finding, Severity, Span
from fixbot.detectors.project import discover
from fixbot.patchers.model.budget import Budget, Limits
from fixbot.patchers.model.client import Endpoint, connect
from fixbot.patchers.model.context import build_context
from fixbot.patchers.model.conversation import Candidate, Conversation, Declined, Failed, Rules
from fixbot.patchers.model.exchanges import Exchange, Recording
from fixbot.patchers.model.keys import Key
from fixbot.patchers.model.messages import EndpointError, OverBudgetError
from fixbot.patchers.patch import apply_patches

FINDING = Finding("undefined-name", Severity.HIGH, "app.py", Span(2, 12, 2, 18), "`lenght` is not defined", fix=MODEL, fingerprint="f")
APP = "def area(length, width):\n    return lenght * width\n"


def edit(line: str) -> str:
    return f"app.py\n<<<<<<< SEARCH\n    return lenght * width\n=======\n{line}\n>>>>>>> REPLACE\n"


GOOD, LONGER = edit("    return length * width"), edit("    product = length * width\n    return product")
NO_EDIT, REFUSED, ABSTAINS = "I would rather not say.", failure(401, "no such key"), "ABSTAIN: not sure"

Begin = Callable[..., Conversation]


@pytest.fixture
def conversation(tmp_path: Path) -> Begin:
    write_tree(tmp_path, {"app.py": APP})

    def begin(server: Server, limits: Limits | None = None) -> Conversation:
        saved: list[Exchange] = []
        model = connect(Endpoint(server.base_url, "test-model", Key("k" * 20), retries=0), Budget(limits))
        model = Recording(model, (), saved.append)
        return Conversation(FINDING, model, lambda limit: build_context(FINDING, discover(tmp_path), limit=limit), 6000)

    return begin


def by_turn(steps: Sequence[Step], mended: Step = GOOD) -> Callable[[dict[str, Any]], Step]:
    """One step for each sample, in whatever order they come; a repair gets ``mended``."""
    left = list(steps)
    return lambda body: mended if len(body["messages"]) > 2 else left.pop(0)


def texts(found: Sequence[Candidate]) -> list[str]:
    """The file after each of the patches."""
    return [apply_patches([one.patch], {"app.py": APP.encode()})["app.py"].decode() for one in found]


@pytest.mark.parametrize("lost", [REFUSED, failure(500), NO_EDIT, ABSTAINS], ids=["endpoint", "server", "no edit", "abstention"])
def test_what_one_loses_is_not_the_others_loss(conversation: Begin, tmp_path: Path, lost: Step) -> None:
    with serve(by_turn([LONGER, lost, GOOD])) as server:
        found = conversation(server).propose(Rules(tmp_path, {"app.py"}), 3)
    assert len(server.requests) == 3
    assert ["product" in text for text in texts(found)] == [False, True]  # the smaller first


def test_the_budget_that_is_enough_for_one_gives_one(conversation: Begin, tmp_path: Path) -> None:
    with serve([GOOD]) as server:
        found = conversation(server, Limits(calls=1)).propose(Rules(tmp_path, {"app.py"}), 3)
    assert (len(found), len(server.requests)) == (1, 1)


@pytest.mark.parametrize("first", [REFUSED, failure(500), ABSTAINS], ids=["endpoint", "server", "abstention"])
def test_an_answer_that_can_be_mended_is_gone_on_with(conversation: Begin, tmp_path: Path, first: Step) -> None:
    with serve(by_turn([first, NO_EDIT])) as server:
        (found,) = conversation(server).propose(Rules(tmp_path, {"app.py"}), 2)
    assert texts([found]) == [APP.replace("lenght", "length")]
    assert [len(request.body["messages"]) for request in server.requests] == [2, 2, 4]  # a repair of what was answered, paid for once
    assert server.requests[2].body["messages"][2]["content"] == NO_EDIT


def test_without_any_answer_the_error_stands(conversation: Begin, tmp_path: Path) -> None:
    with serve([REFUSED]) as server, pytest.raises(EndpointError, match="401"):
        conversation(server).propose(Rules(tmp_path, {"app.py"}), 2)
    assert len(server.requests) == 2  # not asked a third time
    with serve([GOOD]) as server, pytest.raises(OverBudgetError):
        conversation(server, Limits(calls=0)).propose(Rules(tmp_path, {"app.py"}), 2)
    assert server.requests == []
    with serve(by_turn([ABSTAINS, REFUSED])) as server, pytest.raises(Declined, match="not sure"):
        conversation(server).propose(Rules(tmp_path, {"app.py"}), 2)
    with serve(by_turn([failure(500), REFUSED])) as server, pytest.raises(Failed, match="500"):
        conversation(server).propose(Rules(tmp_path, {"app.py"}), 2)
