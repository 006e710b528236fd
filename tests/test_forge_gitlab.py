"""The GitLab client through the same protocol: merge requests, people, dashboard, lost answers, refusals, git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from forge_gitlab import GitLab as Lab
from forge_gitlab import gitlab_rig
from forge_rig import Rig

from fixbot.agent import workspace as ws
from fixbot.agent.deliver import remote
from fixbot.agent.deliver.forge import Forge, People, State
from fixbot.agent.deliver.gitlab import GitLab, open_gitlab
from fixbot.agent.deliver.gitlab_models import harmless, titled, written
from fixbot.agent.deliver.http import Manners
from fixbot.agent.errors import ForgeError

QUICK = Manners(gap=0, backoff=(0, 0))
MARK = "<!-- fixbot:test -->"
HOSTILE = "/close\n  /merge\n\\/assign @ann\nand/or\n```\n/label ~x\n```\n"
B = "fixbot/one"


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[Lab]]:
    with gitlab_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        yield rig


def client(rig: Rig[Lab], token: str = "") -> GitLab:
    return open_gitlab(rig.name, token or rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=QUICK)


def opened(rig: Rig[Lab]) -> GitLab:
    rig.bare.commit(B, {"one.py": "x = 2\n"})
    forge = client(rig)
    forge.open_pull(B, "main", "fix: one", "because", draft=False)
    return forge


def test_a_merge_requests_life(rig: Rig[Lab], tmp_path: Path) -> None:
    forge: Forge = client(rig)
    project = forge.project()
    assert (project.default_branch, project.issues, project.archived, project.url) == ("main", True, False, f"{rig.server}/{rig.name}")
    subprocess.run(["git", "clone", "-q", str(rig.bare.path), str(tmp_path / "user")], check=True)
    space = ws.open_workspace(tmp_path / "user", tmp_path / "state", "r1")
    head = ws.commit(space, B, {"a.py": b"x = 2\n"}, "fix", space.base)
    remote.push(space, forge.remote(), B, head, None)
    pull = forge.open_pull(B, "main", "fix: one", HOSTILE, draft=True)
    assert (pull.number, pull.branch, pull.base, pull.head, pull.state, pull.draft) == (1, B, "main", head, State.OPEN, True)
    assert (pull.title, pull.body, pull.url) == ("fix: one", HOSTILE, f"{rig.server}/{rig.name}/-/merge_requests/1")
    assert forge.open_pull(B, "main", "other", "", draft=False) == pull
    forge.edit_pull(1, title="fix: two", body=f"more\n{HOSTILE}")
    (edited,) = forge.pulls("fixbot/")
    assert (edited.title, edited.draft, edited.body) == ("fix: two", True, f"more\n{HOSTILE}")
    rig.forge.merge(1)
    (merged,) = forge.pulls("fixbot/")
    assert (merged.state, merged.merged_as) == (State.MERGED, rig.bare.heads()["main"])
    assert forge.pulls("renovate/") == []


def test_what_is_not_ours(rig: Rig[Lab]) -> None:
    forge = opened(rig)
    rig.forge.branch_pull("stranger", B, "main", "of a fork", "")["head"]["repo"] = None
    forge.edit_pull(1, close=True)
    assert [(one.number, one.state) for one in forge.pulls("")] == [(1, State.CLOSED)]
    assert forge.open_pull(B, "main", "again", "", draft=False).number == 3


def test_one_that_appears_in_between_is_adopted(rig: Rig[Lab]) -> None:
    forge = opened(rig)
    rig.fail("GET .*/merge_requests$", status=200, body=[])
    assert forge.open_pull(B, "main", "again", "", draft=False).number == 1


WRITES: dict[str, tuple[str, Callable[[GitLab], object]]] = {
    "pull": ("POST .*/merge_requests$", lambda forge: forge.open_pull(B, "main", "fix: one", "because", draft=False)),
    "edit": ("PUT .*/merge_requests/1$", lambda forge: forge.edit_pull(1, body="new", close=True)),
    "comment": ("POST .*/notes$", lambda forge: forge.comment(1, "text", MARK)),
    "people": ("PUT .*/merge_requests/1$", lambda forge: forge.invite(1, People(("a",), ("ann",), ("octo",)))),
    "dashboard": ("POST .*/issues$", lambda forge: forge.save_dashboard(None, "Dashboard", "text", MARK)),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_answer_is_lost_makes_no_twin(what: str, tmp_path: Path) -> None:
    match, write = WRITES[what]
    shapes: list[object] = []
    faults: list[dict[str, Any]] = [{}, {"cut": "after"}, {"status": 502, "acts": True}, {"status": 503}]
    for number, fault in enumerate(faults):
        with gitlab_rig(tmp_path / str(number), {"a.py": "x = 1\n"}) as rig:
            rig.bare.commit(B, {"one.py": "x = 2\n"})
            if what != "pull":
                rig.forge.branch_pull("fixbot-bot", B, "main", "fix: one", "because")
            if fault:
                rig.fail(match, **fault)
            write(client(rig))
            write(client(rig))
            things = [(one["title"], one["body"], one["state"], one["labels"]) for one in (rig.forge.pulls | rig.forge.issues).values()]
            shapes.append((things, [one["body"] for one in rig.forge.comments.get(1, [])]))
    assert all(one == shapes[0] for one in shapes)


def test_people(rig: Rig[Lab]) -> None:
    forge = opened(rig)
    told = forge.invite(1, People(("one", "a,b"), ("ann", "nobody", "group/team", "stranger"), ("octo",)))
    pull = forge.pulls(B)[0]
    assert pull.labels == ("one",)
    assert [one["login"] for one in rig.forge.pulls[1]["requested_reviewers"]] == ["ann"]
    assert [one["login"] for one in rig.forge.pulls[1]["assignees"]] == ["octo"]
    assert [one.split()[0] for one in told] == ["label", "nobody", "group/team", "stranger"]
    assert forge.invite(1, People(("One",), ("ann",), ("octo",))) == []
    assert len(rig.sent("PUT")) == 1
    rig.forge.one_reviewer = True
    (told,) = forge.invite(1, People(reviewers=("octo",)))
    assert told.startswith("octo could not be set as reviewer")
    rig.fail("PUT", status=403, body={"message": "403 Forbidden"})
    (told,) = forge.invite(1, People(labels=("x",)))
    assert "role Developer" in told


def test_comments_tell_who_may_command(rig: Rig[Lab]) -> None:
    forge = opened(rig)
    for login in ("octo", "ann", "stranger", "bob"):
        rig.forge.say(1, login, f"{MARK} {login}")
    forge.comment(1, HOSTILE, MARK)
    forge.comment(1, HOSTILE, MARK)
    found = [(one.author, one.trusted, one.ours) for one in forge.comments(1)]
    strangers = [("stranger", False, False), ("bob", False, False)]
    assert found == [("octo", True, False), ("ann", True, False), *strangers, ("fixbot-bot", True, True)]
    assert forge.comments(1)[-1].body == f"{MARK}\n{HOSTILE}"
    assert len(rig.sent("GET .*/members/all/")) == 5  # once a person


def test_the_dashboard_is_one_issue(rig: Rig[Lab]) -> None:
    forge = client(rig)
    rig.forge.open_as("stranger", "Dashboard", MARK)
    assert forge.dashboard(MARK) is None
    made = forge.save_dashboard(None, "Dashboard", HOSTILE, MARK)
    assert forge.save_dashboard(made, "Dashboard", HOSTILE, MARK) == made
    assert forge.save_dashboard(made, "Dashboard", "new", MARK).body == f"{MARK}\nnew"
    assert len(rig.sent("PUT")) == 1
    twin = rig.forge.open_as("fixbot-bot", "Dashboard", MARK)
    assert forge.save_dashboard(None, "Dashboard", "new", MARK).number == made.number
    assert rig.forge.issues[twin]["state"] == "closed"
    rig.forge.close(made.number)
    again = forge.dashboard(MARK)
    assert again is not None
    assert not again.open
    assert forge.save_dashboard(again, "Dashboard", "new", MARK).open


REFUSALS: list[tuple[int, object, str, str]] = [
    (401, {"message": "401 Unauthorized"}, "401 Unauthorized", "has expired"),
    (403, {"error": "insufficient_scope", "error_description": "no"}, "insufficient_scope; no", "scope `api`"),
    (403, {"message": "403 Forbidden"}, "403 Forbidden", "role Developer"),
    (404, {"message": "404 Project Not Found"}, "Not Found", "a private one is not found"),
    (400, {"message": {"title": ["is too long", "is bad"], "base": 7}}, "title is too long, is bad", "see what GitLab"),
    (422, {"message": ["\x1b[31mone", "two", None]}, r"\x1b[31mone; two", "see what GitLab"),
    (409, {"message": "Another open merge request"}, "Another open", "see what GitLab"),
    (403, ["?"], "no reason given", "role Developer"),
    (403, {"message": "403 Forbidden - project is archived"}, "archived", "takes no changes"),
]


@pytest.mark.parametrize(("status", "body", "words", "cure"), REFUSALS)
def test_a_refusal_is_told_with_its_cure(rig: Rig[Lab], status: int, body: object, words: str, cure: str) -> None:
    rig.bare.commit(B, {"one.py": "x = 2\n"})
    rig.fail("POST .*/merge_requests$", status=status, body=body)
    with pytest.raises(ForgeError) as caught:
        client(rig).open_pull(B, "main", "fix", "", draft=False)
    assert words in caught.value.message
    assert caught.value.message.isprintable()
    assert cure in caught.value.cure
    assert len(rig.sent("POST")) == 1


def test_what_gitlab_does_not_do(rig: Rig[Lab]) -> None:
    rig.forge.issues_on = False
    forge = client(rig)
    assert forge.project().issues is False
    with pytest.raises(ForgeError, match="403") as caught:
        forge.dashboard(MARK)
    assert "no dashboard" in caught.value.cure
    with pytest.raises(ForgeError, match="no SARIF"):
        forge.upload_sarif({}, "a" * 40, "refs/heads/main")
    reader = next(secret for secret, token in rig.forge.tokens.items() if not token.writes)
    rig.bare.commit(B, {"one.py": "x = 2\n"})
    with pytest.raises(ForgeError) as caught:
        client(rig, reader).open_pull(B, "main", "fix", "", draft=False)
    assert "scope `api`" in caught.value.cure
    rig.fail("GET .*", status=200, body={"path_with_namespace": "../x"})
    with pytest.raises(ForgeError, match="no project"):
        client(rig).remote()
    for name in ("group", "../x", "a/b c", "/a/b", "a/b/", "-a/b"):
        with pytest.raises(ForgeError, match="not the path of a project"):
            open_gitlab(name, rig.token, "fixbot/0", api=rig.api)


@pytest.mark.parametrize("text", [HOSTILE, "", "/", "\\\\/a", "a\n/b\r\n/c\n\n\t/d", "http://x/y", "\\/\n/\n\\"])
def test_no_line_is_a_command_and_the_text_comes_back(text: str) -> None:
    assert not any(line.strip().startswith("/") for line in harmless(text).split("\n"))
    assert written(harmless(text)) == text


def test_titles_of_drafts() -> None:
    assert titled("fix", draft=True) == titled("Draft: fix", draft=True) == titled("[draft] fix", draft=True) == "Draft: fix"
    assert titled("(Draft) fix", draft=False) == titled("fix", draft=False) == "fix"
    assert titled("drafting", draft=False) == "drafting"
