"""Delivery from end to end: a project with bugs on a forge, runs over it, what people do to the pull requests in between."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import git
from deliveries import FILES, QUICK, SOUND, Case, check_out
from forge_github import github_rig
from forge_github_state import BOT
from forge_gitlab import gitlab_rig
from forge_repository import ANN
from forge_rig import Reply, Request

from fixbot.agent.config import Settings
from fixbot.agent.decisions import Figures, figures
from fixbot.agent.deliver.deliver import Delivery, deliver
from fixbot.agent.deliver.gitlab import open_gitlab
from fixbot.agent.errors import ForgeError, RepositoryError
from fixbot.agent.result import RunResult
from fixbot.agent.store import Ledger

SOUND_BRANCH, FETCH_BRANCH = "fixbot/undefined-name", "fixbot/missing-timeout"


@pytest.fixture
def case(tmp_path: Path) -> Generator[Case]:
    with github_rig(tmp_path / "forge", FILES) as rig:
        yield Case(
            rig, check_out(rig.bare.path, tmp_path / "checkout"), tmp_path / "state", Settings.model_validate({"max_new_per_run": 10})
        )


def actions(delivery: Delivery) -> dict[str, str]:
    return {step.key: step.action.value for step in delivery.steps}


def reasons(delivery: Delivery) -> str:
    return " ".join(step.reason for step in delivery.steps)


def writes(case: Case) -> list[str]:
    """What was written to the forge so far but for the dashboard."""
    found = [f"{one.method} {one.path}" for one in case.rig.sent("^(POST|PATCH|PUT|DELETE) ")]
    return [one for one in found if not one.endswith(("git-upload-pack", "/graphql")) and "/issues" not in one.removesuffix("/comments")]


def test_a_pull_request_a_rule_and_nothing_twice(case: Case) -> None:
    case.rig.bare.commit("main", {"more.py": "def copy(path):\n    return shutil.copy(path, '.')\n"})
    assert actions(case.deliver(labels=("fixbot",), reviewers=("ann",))) == {"undefined-name": "open", "missing-timeout": "open"}
    first, second = case.rig.forge.pulls.values()
    assert (first["title"], second["title"]) == ("fix: undefined-name in 2 files", "fix: missing-timeout in fetch.py")
    assert [one["name"] for one in first["labels"]] == ["fixbot"]
    assert "- **`sound.py:2`** in `length` (critical): `wave` is not defined" in first["body"]
    assert "  - verified: 1 of 1 changed line executed by passing tests (`tests/test_sound.py::test_nothing`)" in first["body"]
    assert "3 passed before, 3 after with all 3 fixes of the run applied" in first["body"]
    heads = case.rig.bare.heads()
    subjects = case.rig.bare.git("log", "--format=%s", f"main..{heads[SOUND_BRANCH]}").splitlines()
    assert sorted(subjects) == ["fix: undefined-name in more.py", "fix: undefined-name in sound.py"]
    assert case.rig.bare.git("show", f"{SOUND_BRANCH}:sound.py") + "\n" == SOUND
    assert case.rig.bare.git("diff", "--name-only", "main", FETCH_BRANCH) == "fetch.py"

    before = writes(case)
    assert actions(case.deliver()) == {"undefined-name": "keep", "missing-timeout": "keep"}
    assert writes(case) == before
    assert case.rig.bare.heads() == heads
    assert len(case.rig.forge.pulls) == 2


def test_a_base_that_moves_takes_the_branch_along(case: Case) -> None:
    case.deliver()
    case.rig.bare.commit("main", {"sound.py": "# sounds\n" + FILES["sound.py"]})
    assert actions(case.deliver())["undefined-name"] == "update"
    heads = case.rig.bare.heads()
    assert case.rig.bare.git("rev-parse", f"{SOUND_BRANCH}^") == heads["main"]
    assert "import wave" in case.rig.bare.git("show", f"{SOUND_BRANCH}:sound.py")
    assert len(case.rig.forge.pulls) == 2
    case.rig.bare.commit("main", {"other.py": "def copy(path):\n    return shutil.copy(path, '.')\n"})
    case.deliver()
    assert case.rig.forge.pulls[1]["title"] == "fix: undefined-name in 2 files"


def test_a_persons_commit_makes_the_branch_theirs(case: Case) -> None:
    case.deliver()
    mine = case.rig.bare.commit(SOUND_BRANCH, {"notes.txt": "by hand\n"}, author=ANN)
    case.rig.bare.commit("main", {"other.txt": "moved on\n"})
    for _ in range(2):
        assert actions(case.deliver())["undefined-name"] == "leave"
    assert case.rig.bare.heads()[SOUND_BRANCH] == mine
    assert [one["body"].count("It is yours") for one in case.rig.forge.comments[1]] == [1]
    case.rig.bare.commit("main", {"sound.py": SOUND})
    assert actions(case.deliver())["undefined-name"] == "leave"
    assert case.rig.forge.pulls[1]["state"] == "open"


def test_a_push_while_fixbot_works_is_not_overwritten(case: Case) -> None:
    case.deliver()
    case.rig.bare.commit("main", {"other.txt": "moved on\n"})
    result, made = case.run(), dict[str, str]()
    original = case.rig.answer

    def answer(request: Request) -> Reply:
        if "git-receive-pack" in request.target and not made:
            made["mine"] = case.rig.bare.commit(SOUND_BRANCH, {"notes.txt": "by hand\n"})
        return original(request)

    case.rig.answer = answer
    delivery = case.deliver(result)
    assert actions(delivery) == {"undefined-name": "leave", "missing-timeout": "update"}
    assert case.rig.bare.heads()[SOUND_BRANCH] == made["mine"]


def test_what_was_closed_comes_back_only_when_asked_for_or_changed(case: Case) -> None:
    case.deliver()
    case.rig.forge.close(1)
    delivery = case.deliver()
    assert actions(delivery) == {"missing-timeout": "keep", "undefined-name": "declined"}
    assert "#1 was closed without merging" in reasons(delivery)
    case.rig.forge.say(1, "mallory", "/fixbot reopen")
    assert actions(case.deliver())["undefined-name"] == "declined"
    case.rig.forge.say(1, "ann", "Sorry.\n/fixbot reopen\n")
    assert actions(case.deliver())["undefined-name"] == "open"
    assert [one["state"] for one in case.rig.forge.pulls.values()] == ["closed", "open", "open"]


def test_what_was_closed_comes_back_when_its_code_has_changed(case: Case) -> None:
    case.deliver()
    case.rig.forge.close(2)
    case.rig.bare.commit("main", {"fetch.py": "# a comment above\n" + FILES["fetch.py"]})
    assert actions(case.deliver())["missing-timeout"] == "declined"
    case.rig.bare.commit("main", {"fetch.py": FILES["fetch.py"].replace("get(url)", "get(url, verify=True)")})
    assert actions(case.deliver())["missing-timeout"] == "open"


def test_what_was_merged_and_reverted_is_not_offered_again(case: Case) -> None:
    case.deliver()
    case.rig.forge.merge(1, "squash")
    assert "undefined-name" not in actions(case.deliver())
    case.rig.bare.commit("main", {"sound.py": FILES["sound.py"]}, "Revert")
    delivery = case.deliver()
    assert actions(delivery)["undefined-name"] == "declined"
    assert "merged, yet found again" in reasons(delivery)


def test_a_finding_that_is_gone_closes_its_pull_request_and_may_come_back(case: Case) -> None:
    case.deliver()
    case.rig.bare.commit("main", {"sound.py": SOUND})
    assert actions(case.deliver())["undefined-name"] == "close"
    assert case.rig.forge.pulls[1]["state"] == "closed"
    assert SOUND_BRANCH not in case.rig.bare.heads()
    assert "no longer there" in case.rig.forge.comments[1][0]["body"]
    case.rig.bare.commit("main", {"sound.py": FILES["sound.py"]})
    assert actions(case.deliver())["undefined-name"] == "open"


@pytest.mark.parametrize("narrow", [{"rules": ("missing-timeout",)}, {"whole": False}])
def test_a_run_that_did_not_look_closes_nothing(case: Case, narrow: dict[str, Any]) -> None:
    case.deliver()
    result = case.run(("missing-timeout",), **narrow)
    assert actions(case.deliver(result)) == {"undefined-name": "keep", "missing-timeout": "keep"}
    assert case.rig.forge.pulls[1]["state"] == "open"


def test_limits_take_the_worst_first_and_boxes_override_them(case: Case) -> None:
    case.rig.bare.commit("main", {"old.py": "from collections import Mapping\n\nprint(Mapping)\n"})
    limits: dict[str, Any] = {"max_new_per_run": 1, "max_open": 2}
    assert {key for key, action in actions(case.deliver(**limits)).items() if action == "open"} == {"undefined-name"}
    second = actions(case.deliver(**limits))
    assert sum(action == "open" for action in second.values()) == 1
    third = case.deliver(**limits)
    waiting = [step for step in third.steps if step.action.value == "wait"]
    assert waiting
    assert "2 pull requests are open, the limit is 2" in reasons(third)
    (board,) = case.rig.forge.issues.values()
    box = f"- [ ] <!-- fixbot:do open {waiting[0].key} -->"
    assert box in board["body"]
    board["body"] = board["body"].replace(box, box.replace("[ ]", "[x]"))
    assert actions(case.deliver(**limits))[waiting[0].key] == "open"
    assert box not in board["body"]


def test_a_box_offers_again_what_was_closed(case: Case) -> None:
    case.deliver()
    case.rig.forge.close(1)
    case.deliver()
    (board,) = case.rig.forge.issues.values()
    board["body"] = board["body"].replace("[ ] <!-- fixbot:do reopen 1 -->", "[x] <!-- fixbot:do reopen 1 -->")
    assert actions(case.deliver())["undefined-name"] == "open"
    assert len(case.rig.forge.issues) == 1


def test_a_dashboard_of_somebody_else_gives_no_orders(case: Case) -> None:
    case.rig.forge.open_as("mallory", "fixbot dashboard", "<!-- fixbot dashboard -->\n- [x] <!-- fixbot:do open missing-timeout -->")
    assert actions(case.deliver(max_new_per_run=1))["missing-timeout"] == "wait"
    assert [one["user"]["login"] for one in case.rig.forge.issues.values()].count(BOT) == 1


def test_somebody_elses_branch_of_that_name_is_let_be(case: Case) -> None:
    theirs = case.rig.bare.commit(SOUND_BRANCH, {"notes.txt": "by hand\n"})
    delivery = case.deliver()
    assert {step.branch for step in delivery.steps} == {f"{SOUND_BRANCH}-2", FETCH_BRANCH}
    assert case.rig.bare.heads()[SOUND_BRANCH] == theirs
    assert actions(case.deliver()) == {"undefined-name": "keep", "missing-timeout": "keep"}
    assert len(case.rig.forge.pulls) == 2


def test_a_pull_request_whose_note_was_deleted_counts_and_is_let_be(case: Case) -> None:
    case.deliver()
    case.rig.forge.pulls[1]["body"] = "Edited by hand."
    head = case.rig.bare.heads()[SOUND_BRANCH]
    case.rig.bare.commit("main", {"other.txt": "moved on\n"})
    assert actions(case.deliver()) == {"missing-timeout": "update", "undefined-name": "leave"}
    assert case.rig.bare.heads()[SOUND_BRANCH] == head
    assert case.rig.forge.pulls[1]["body"] == "Edited by hand."


def test_work_that_is_not_on_the_base_branch_is_not_delivered(case: Case) -> None:
    case.pull()
    (case.checkout / "mine.txt").write_text("not pushed\n")
    git(case.checkout, "add", ".")
    git(case.checkout, "commit", "--quiet", "--message=mine")
    result = case.run()
    base = git(case.checkout, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "mine")
    git(case.checkout, "reset", "--quiet", "--hard", base)
    with pytest.raises(RepositoryError, match="is not on branch main"):
        case.deliver(replace(result, base=base))
    assert set(case.rig.bare.heads()) == {"main"}


def test_an_archived_repository_is_named(case: Case) -> None:
    case.rig.forge.archived = True
    with pytest.raises(ForgeError, match="archived"):
        case.deliver()


def test_without_issues_there_is_no_dashboard(case: Case) -> None:
    case.rig.forge.issues_on = False
    delivery = case.deliver()
    assert delivery.dashboard == ""
    assert len(case.rig.forge.pulls) == 2


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("all", {"all"}),
        ("finding", {"undefined-name-", "missing-timeout-"}),
        ("file", {"sound-py-", "fetch-py-"}),
        ("owner", {"sounds-", "no-owner"}),
    ],
)
def test_groups(case: Case, by: str, keys: set[str]) -> None:
    case.rig.bare.commit("main", {"CODEOWNERS": "*.py @nobody/else\nfetch.py\nsound.py @sounds @second\n[bad\n" + "*" * 50 + " @x\n"})
    found = actions(case.deliver(group=by))
    assert len(found) == len(keys)
    assert all(any(key.startswith(start) for start in keys) for key in found)
    regrouped = actions(case.deliver(group="rule"))
    assert set(regrouped) == set(found)
    assert len(case.rig.forge.pulls) == len(keys)


DATABASE = """\
import sqlite3


def one(path):
    with sqlite3.connect(path) as database:
        return database.execute("SELECT 1").fetchone()


def space():
    pass


def two(path):
    with sqlite3.connect(path) as database:
        return database.execute("SELECT 2").fetchone()


def more_space():
    pass


def three(path):
    with sqlite3.connect(path) as database:
        return database.execute("SELECT 3").fetchone()
"""


def test_any_commit_of_a_fix_can_be_dropped(case: Case) -> None:
    base = case.rig.bare.commit("main", {"database.py": DATABASE})
    result = case.run(("connection-not-closed",))
    assert actions(case.deliver(result)) == {"connection-not-closed": "open"}
    first, *fixes = case.rig.bare.git("rev-list", "--reverse", f"{base}..fixbot/connection-not-closed").split()
    assert case.rig.bare.git("show", "--no-patch", "--format=%s", first).startswith("chore: imports")
    assert len(fixes) == 3
    for dropped in fixes:
        git(case.checkout, "fetch", "--quiet", str(case.rig.bare.path), "fixbot/connection-not-closed")
        git(case.checkout, "checkout", "--quiet", "--detach", base)
        git(case.checkout, "cherry-pick", first, *(one for one in fixes if one != dropped))
        text = (case.checkout / "database.py").read_text()
        assert (text.count("closing("), text.count("import closing")) == (2, 1)
        compile(text, "database.py", "exec")


def test_what_became_of_pull_requests_counts_for_their_rules(case: Case) -> None:
    case.deliver()
    case.rig.forge.merge(1)
    case.rig.forge.close(2)
    for _ in range(2):
        case.deliver()
    with closing(Ledger(case.state / "ledger.sqlite")) as ledger:
        counted = figures(ledger.decisions())
    assert counted == {"undefined-name": Figures(accepted=1), "missing-timeout": Figures(wrong_fixes=1)}


def test_two_machines_at_once_make_no_twins(case: Case, tmp_path: Path) -> None:
    other = Case(case.rig, check_out(case.rig.bare.path, tmp_path / "second"), tmp_path / "second state", case.settings)
    first, second = case.run(), replace(other.run(), run="20261124-ffffff")
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(case.deliver, first), pool.submit(other.deliver, second)]
    finished = [one.result() for one in done if one.exception() is None]
    assert finished
    heads = [one["head"]["ref"] for one in case.rig.forge.pulls.values()]
    assert sorted(heads) == [FETCH_BRANCH, SOUND_BRANCH]
    case.deliver()
    assert sum(one["state"] == "open" for one in case.rig.forge.issues.values()) == 1
    assert len(case.rig.forge.pulls) == 2


def test_merge_requests_on_gitlab(tmp_path: Path) -> None:
    with gitlab_rig(tmp_path / "forge", FILES) as rig:
        checkout = check_out(rig.bare.path, tmp_path / "checkout")
        case = Case(rig, checkout, tmp_path / "state")  # pyright: ignore[reportArgumentType]
        result = case.run()

        def once(result: RunResult) -> Delivery:
            forge = open_gitlab(rig.name, rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=QUICK)
            return deliver(result, case.settings, forge, checkout, case.state, lambda event: None, waits=(0, 0))

        assert actions(once(result)) == {"undefined-name": "open", "missing-timeout": "open"}
        assert actions(once(result)) == {"undefined-name": "keep", "missing-timeout": "keep"}
        rig.bare.commit("main", {"sound.py": SOUND})
        assert actions(once(case.run())) == {"undefined-name": "close", "missing-timeout": "update"}
        heads = rig.bare.heads()
        assert set(heads) == {"main", FETCH_BRANCH}
        assert rig.bare.git("rev-parse", f"{FETCH_BRANCH}^") == heads["main"]
