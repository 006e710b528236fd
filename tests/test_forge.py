"""The GitHub client against a fake of GitHub joined with a real git repository: pull requests, people, dashboard, lost answers."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from forge_github import GitHub as Hub
from forge_github import github_rig
from forge_github_state import BOT, PERSON
from forge_rig import Rig, Token

from fixbot.agent.deliver.forge import Forge, People, State
from fixbot.agent.deliver.github import GitHub, open_github
from fixbot.agent.deliver.http import Manners
from fixbot.agent.errors import ForgeError

QUICK = Manners(gap=0, backoff=(0, 0))
MARK = "<!-- fixbot:test -->"
LOG: dict[str, Any] = {"version": "2.1.0", "runs": []}
B = "fixbot/one"


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[Hub]]:
    with github_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        yield rig


def client(rig: Rig[Hub], repository: str = "", token: str = "", **more: Any) -> GitHub:
    manners = more.pop("manners", QUICK)
    return open_github(repository or rig.name, token or rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=manners, **more)


def branch(rig: Rig[Hub], name: str = B) -> str:
    return rig.bare.commit(name, {f"{name.rpartition('/')[2]}.py": "x = 2\n"})


def opened(rig: Rig[Hub], name: str = B) -> GitHub:
    branch(rig, name)
    forge = client(rig)
    forge.open_pull(name, "main", "fix: one", "because", draft=False)
    return forge


def person(rig: Rig[Hub]) -> str:
    return next(secret for secret, token in rig.forge.tokens.items() if token.login == PERSON)


def test_a_pull_requests_life(rig: Rig[Hub]) -> None:
    forge: Forge = client(rig)
    project = forge.project()
    assert (project.default_branch, project.issues, project.archived) == ("main", True, False)
    assert forge.remote().url == rig.clone_url
    head = branch(rig)
    pull = forge.open_pull(B, "main", "fix: one", "because", draft=True)
    assert (pull.number, pull.branch, pull.head, pull.state, pull.draft) == (1, B, head, State.OPEN, True)
    assert pull.url == f"{rig.server}/{rig.name}/pull/1"
    forge.edit_pull(1, title="fix: two", body="more")
    rig.forge.merge(1, "squash")
    (merged,) = forge.pulls("fixbot/")
    assert (merged.state, merged.merged_as) == (State.MERGED, rig.bare.heads()["main"])
    assert (merged.title, merged.body) == ("fix: two", "more")
    assert forge.pulls("renovate/") == []


def test_an_open_pull_request_is_adopted_and_a_closed_one_is_not(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    assert forge.open_pull(B, "main", "other title", "other text", draft=False).title == "fix: one"
    assert len(rig.sent("POST .*/pulls$")) == 1
    forge.edit_pull(1, close=True)
    assert [one.state for one in forge.pulls(B)] == [State.CLOSED]
    assert forge.open_pull(B, "main", "again", "", draft=False).number == 2


def test_one_that_appears_in_between_is_adopted(rig: Rig[Hub]) -> None:
    branch(rig)
    rig.fail(r"GET .*/pulls$", status=200, body=[])  # the look comes a moment too early
    rig.forge.branch_pull(BOT, B, "main", "theirs", "")
    assert client(rig).open_pull(B, "main", "fix: one", "", draft=False).number == 1
    assert len(rig.forge.pulls) == 1


def test_pull_requests_of_forks_and_of_other_branches_are_not_ours(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    for number, repository in enumerate(({"id": 77}, None), 2):
        rig.forge.branch_pull("stranger", B, "main", "copy", "")["head"]["repo"] = repository
        assert number in rig.forge.pulls
    rig.forge.branch_pull("ann", B, "main", "nulls", None).update(labels=None, draft=None)
    rig.forge.close(1)
    assert [one.number for one in forge.pulls("fixbot/")] == [4, 1]
    rig.forge.close(4)
    assert forge.open_pull(B, "main", "fix", "", draft=False).number == 5


def test_long_lists_are_read_to_the_end_and_no_further(rig: Rig[Hub]) -> None:
    branch(rig)
    for _ in range(205):
        rig.forge.branch_pull(BOT, B, "main", "one", "")
    forge = client(rig)
    assert [one.number for one in forge.pulls(B)] == list(range(205, 0, -1))
    assert len(rig.sent("GET .*/pulls$")) == 3
    assert sum(len(page) for page in forge.client.pages(f"/repos/{rig.name}/pulls", 2, state="all")) == 200
    assert forge.notes == ["only the first 200 entries of GET /repos/octo/project/pulls were read"]


WRITES: dict[str, tuple[str, Callable[[GitHub], object]]] = {
    "pull": (r"POST .*/pulls$", lambda forge: forge.open_pull(B, "main", "fix", "", draft=False)),
    "edit": (r"PATCH .*/pulls/1$", lambda forge: forge.edit_pull(1, title="new", close=True)),
    "comment": (r"POST .*/comments$", lambda forge: forge.comment(1, "text", MARK)),
    "dashboard": (r"POST .*/issues$", lambda forge: forge.save_dashboard(None, "Dashboard", "text", MARK)),
    "label": (r"POST .*/labels$", lambda forge: forge.invite(1, People(labels=("fixbot",)))),
    "reviewer": (r"POST .*/requested_reviewers$", lambda forge: forge.invite(1, People(reviewers=("ann",)))),
    "assignee": (r"POST .*/assignees$", lambda forge: forge.invite(1, People(assignees=("bob",)))),
    "sarif": (r"POST .*/sarifs$", lambda forge: forge.upload_sarif(LOG, "a" * 40, "refs/heads/main")),
}


def shape(hub: Hub) -> dict[str, Any]:
    """What there is on the forge, without what differs from call to call."""
    kept = ("title", "body", "state", "labels", "assignees", "requested_reviewers")
    things = {number: {name: one.get(name) for name in kept} for number, one in (hub.pulls | hub.issues).items()}
    said = {number: [one["body"] for one in some] for number, some in hub.comments.items()}
    return {"things": things, "comments": said, "labels": sorted(hub.labels), "sarifs": [*hub.sarifs.values()][:1]}


@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_answer_is_lost_makes_no_twin(what: str, tmp_path: Path) -> None:
    match, write = WRITES[what]
    shapes: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = [
        {"status": 502, "acts": True},
        {"status": 503, "times": 2},
        {"status": 200, "body": b"<html>", "acts": True},
    ]
    faults: list[dict[str, Any]] = [{}, {"cut": "before"}, {"cut": "after"}, {"cut": "middle"}, *broken]
    for number, fault in enumerate(faults):
        with github_rig(tmp_path / str(number), {"a.py": "x = 1\n"}) as rig:
            branch(rig)
            if what != "pull":
                rig.forge.branch_pull(BOT, B, "main", "fix", "")
            if fault:
                rig.fail(match, **fault)
            forge = client(rig)
            write(forge)
            assert not fault or rig.faults[0].times == 0
            write(forge)
            shapes.append(shape(rig.forge))
    assert all(one == shapes[0] for one in shapes)


def test_a_server_that_stays_broken_ends_in_an_error_that_tells_what_to_do(rig: Rig[Hub]) -> None:
    branch(rig)
    rig.fail(r"POST .*/pulls$", status=502, times=9)
    with pytest.raises(ForgeError, match=r"POST /repos/octo/project/pulls: the server had an error \(502\)") as caught:
        client(rig).open_pull(B, "main", "fix", "", draft=False)
    assert "try again later" in caught.value.cure
    assert len(rig.sent("POST .*/pulls$")) == 3
    rig.fail(r"GET .*", cut="before", times=9)
    with pytest.raises(ForgeError, match="GET /repos/octo/project: "):
        client(rig).project()


REFUSALS = [
    ({"status": 401, "body": {"message": "Bad credentials"}}, "Bad credentials", "the token is not valid"),
    ({"status": 404, "body": {"message": "Not Found"}}, "Not Found", "a private one is not found"),
    ({"status": 403, "body": {"message": "Repository was archived so is read-only."}}, "archived", "takes no changes"),
    ({"status": 403, "body": {"message": "Resource protected by organization SAML enforcement."}}, "SAML", "single sign-on"),
    ({"status": 403, "body": {"message": "Resource not accessible by integration"}}, "not accessible", "`pull-requests: write`"),
    ({"status": 403, "body": {"message": "x"}, "headers": {"X-Accepted-GitHub-Permissions": "checks=write"}}, "x", "`checks: write`"),
    ({"status": 403, "body": None}, "injected", "`pull-requests: write`"),
    ({"status": 403, "body": b"<html>no</html>"}, "403 no reason given", "`pull-requests: write`"),
    ({"status": 422, "body": b"[" * 900 + b"]" * 900}, "422 no reason given", "see what GitHub"),
    ({"status": 422, "body": {"message": "No", "errors": [{"field": "title", "code": "missing"}]}}, "No: title missing", "see what GitHub"),
    ({"status": 422, "body": {"message": ["\x1b[31m"], "errors": "\u202e"}}, "422 no reason given", "see what GitHub"),
    ({"status": 422, "body": {"message": "\x1b[31m@all\u202e\n::error::"}}, r"\x1b[31m@all\u202e\n::error::", "see what GitHub"),
    ({"status": 451, "body": {"message": "x" * 9000}}, "x" * 297 + "...", "see what GitHub"),
]


@pytest.mark.parametrize(("fault", "words", "cure"), REFUSALS)
def test_a_refusal_is_told_with_its_cure_and_not_repeated(rig: Rig[Hub], fault: dict[str, Any], words: str, cure: str) -> None:
    branch(rig)
    rig.fail(r"POST .*/pulls$", **fault)
    with pytest.raises(ForgeError) as caught:
        client(rig).open_pull(B, "main", "fix", "", draft=False)
    assert words.removesuffix("...") in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()
    assert cure in caught.value.cure
    assert len(rig.sent("POST .*/pulls$")) == 1


def test_missing_permissions_are_named(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    rig.forge.tokens = {rig.token: Token(BOT, frozenset(), app=True)}
    calls = {
        "pull-requests": lambda: forge.edit_pull(1, body="x"),
        "issues": lambda: forge.save_dashboard(None, "t", "b", MARK),
        "issues: write` or `pull-requests": lambda: forge.comment(1, "x", MARK),
        "security-events": lambda: forge.upload_sarif(LOG, "a" * 40, "refs/heads/main"),
    }
    for permission, call in calls.items():
        with pytest.raises(ForgeError, match="not accessible by integration") as caught:
            call()
        assert f"`{permission}: write`" in caught.value.cure


def test_actions_that_may_not_open_pull_requests(rig: Rig[Hub]) -> None:
    branch(rig)
    rig.forge.actions_may_open = False
    with pytest.raises(ForgeError, match="not permitted to create") as caught:
        client(rig).open_pull(B, "main", "fix", "", draft=False)
    assert "Settings > Actions > General" in caught.value.cure
    assert client(rig, token=person(rig)).open_pull(B, "main", "fix", "", draft=False).number == 1


def test_branches_that_cannot_be_proposed(rig: Rig[Hub]) -> None:
    rig.bare.git("update-ref", "refs/heads/fixbot/same", rig.bare.heads()["main"])
    with pytest.raises(ForgeError, match="No commits between main and fixbot/same") as caught:
        client(rig).open_pull("fixbot/same", "main", "fix", "", draft=False)
    assert "push the fixes first" in caught.value.cure
    with pytest.raises(ForgeError, match="head invalid") as caught:
        client(rig).open_pull("fixbot/none", "main", "fix", "", draft=False)
    assert "fixbot/none is on GitHub" in caught.value.cure
    assert len(rig.sent("POST .*/pulls$")) == 4
    branch(rig)
    with pytest.raises(ForgeError, match="too long"):
        client(rig).open_pull(B, "main", "fix", "x" * 70000, draft=False)


def test_a_branch_that_is_seen_late_is_waited_for(rig: Rig[Hub]) -> None:
    branch(rig)
    error = {"message": "Validation Failed", "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}]}
    rig.fail(r"POST .*/pulls$", status=422, body=error)
    assert client(rig).open_pull(B, "main", "fix", "", draft=False).number == 1


def test_no_drafts_in_this_repository(rig: Rig[Hub]) -> None:
    branch(rig)
    rig.fail(r"POST .*/pulls$", status=422, body={"message": "Draft pull requests are not supported in this repository."})
    forge = client(rig)
    assert forge.open_pull(B, "main", "fix", "", draft=True).draft is False
    assert "opened for review" in forge.notes[0]


def test_people_are_asked_once_and_who_cannot_be_is_told(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    people = People(("fixbot", "bug"), ("ann", "nobody", "octo/core", "octo/none", BOT), ("bob", "nobody"))
    told = forge.invite(1, people)
    pull = rig.forge.pulls[1]
    assert [one["name"] for one in pull["labels"]] == ["fixbot", "bug"]
    assert "fixbot" in rig.forge.labels
    assert [one["login"] for one in pull["requested_reviewers"]] == ["ann"]
    assert [one["slug"] for one in pull["requested_teams"]] == ["core"]
    assert [one["login"] for one in pull["assignees"]] == ["bob"]
    assert [one.split()[0] for one in told] == ["nobody", "nobody", BOT, "none"]
    before = len(rig.sent("POST "))
    assert forge.invite(1, People(("Bug", "fixbot"), ("Ann", "octo/core"), ("bob",))) == []
    pull["requested_reviewers"] = []
    pull["reviews"] = [{"user": {"login": "ann"}}, {"user": None}]
    assert forge.invite(1, People(reviewers=("ann",))) == []  # has answered: is not asked again
    assert forge.invite(1, People()) == []
    assert len(rig.sent("POST ")) == before


def test_labels_that_exist_or_may_not_be_made(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    rig.fail(r"GET .*/labels/", status=404)  # made by somebody else a moment later
    assert forge.invite(1, People(("bug",))) == []
    rig.fail(r"POST .*/project/labels$", status=403, body={"message": "Resource not accessible by integration"})
    (told,) = forge.invite(1, People(("new one/with slash",)))
    assert told.startswith("label new one/with slash could not be made")
    assert [one["name"] for one in rig.forge.pulls[1]["labels"]] == ["bug"]


def test_comments_tell_who_may_command(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    for login in ("octo", "ann", "bob", "stranger"):
        rig.forge.say(1, login, f"{MARK} {login}")
    rig.forge.comments[1].append({"id": 9, "user": None, "body": None, "author_association": None})
    forge.comment(1, "ours", MARK)  # the marker in another's comment does not count
    forge.comment(1, "ours", MARK)
    found = [(one.author, one.trusted, one.ours) for one in forge.comments(1)]
    assert found[:4] == [("octo", True, False), ("ann", True, False), ("bob", True, False), ("stranger", False, False)]
    assert found[4:] == [("", False, False), (BOT, False, True)]


def test_the_dashboard_is_one_issue(rig: Rig[Hub]) -> None:
    forge = opened(rig)
    rig.forge.open_as("stranger", "Dashboard", MARK)
    assert forge.dashboard(MARK) is None
    made = forge.save_dashboard(None, "Dashboard", "text", MARK)
    assert (made.number, made.body, made.url) == (3, f"{MARK}\ntext", f"{rig.server}/{rig.name}/issues/3")
    assert forge.save_dashboard(made, "Dashboard", "text", MARK) == made
    assert rig.sent("PATCH") == []
    assert forge.save_dashboard(made, "Dashboard", "new", MARK).body == f"{MARK}\nnew"
    twins = [rig.forge.open_as(BOT, "Dashboard", MARK) for _ in range(2)]
    assert forge.save_dashboard(None, "Dashboard", "new", MARK).number == 3
    assert [rig.forge.issues[number]["state"] for number in (2, 3, *twins)] == ["open", "open", "closed", "closed"]
    rig.forge.close(3)
    again = forge.dashboard(MARK)
    assert again is not None
    assert (again.number, again.open) == (3, False)
    assert forge.save_dashboard(again, "Dashboard", "new", MARK).open


def test_a_dashboard_that_is_not_found_by_its_creator(rig: Rig[Hub]) -> None:
    number = rig.forge.open_as(BOT, "Dashboard", MARK)
    rig.fail(r"GET .*/issues$", status=200, body=[])
    found = client(rig).dashboard(MARK)
    assert found is not None
    assert found.number == number
    rig.fail(r"GET .*/issues$", status=422)
    assert client(rig).dashboard(MARK) == found
    rig.forge.close(number)
    assert client(rig).dashboard("<!-- other -->") is None


def test_no_dashboard_without_issues(rig: Rig[Hub]) -> None:
    rig.forge.issues_on = False
    forge = client(rig)
    assert forge.project().issues is False
    with pytest.raises(ForgeError, match="410") as caught:
        forge.save_dashboard(None, "Dashboard", "text", MARK)
    assert "no dashboard is possible" in caught.value.cure


def test_whose_token_it_is(rig: Rig[Hub]) -> None:
    assert client(rig, token=person(rig)).account() == PERSON
    rig.forge.tokens[rig.token] = Token("my-app[bot]", app=True)
    forge = client(rig)
    assert forge.account() == forge.account() == "my-app[bot]"
    assert len(rig.sent("graphql")) == 1
    rig.fail("graphql", status=403)
    assert client(rig).account() == BOT
    assert client(rig, login="me").account() == "me"
    with pytest.raises(ForgeError, match="Bad credentials"):
        client(rig, token="expired").account()


def test_a_renamed_repository_is_used_under_its_new_name(rig: Rig[Hub]) -> None:
    rig.forge.former = "octo/former"
    branch(rig)
    forge = client(rig, "octo/former")
    assert forge.open_pull(B, "main", "fix", "", draft=False).number == 1  # by redirects
    assert forge.remote().url == rig.clone_url
    assert [one.number for one in forge.pulls(B)] == [1]
    rig.fail(f"GET /repos/{rig.name}$", status=200, body={"full_name": "../../etc"})
    with pytest.raises(ForgeError, match="no repository"):
        client(rig).remote()


def test_code_scanning(rig: Rig[Hub]) -> None:
    forge = client(rig)
    where = forge.upload_sarif(LOG, "a" * 40, "refs/heads/main")
    assert where == f"{rig.api}/repos/{rig.name}/code-scanning/sarifs/{next(iter(rig.forge.sarifs))}"
    rig.fail(r"POST .*/sarifs", status=202, body={"id": "../x y"})
    assert forge.upload_sarif(LOG, "a" * 40, "refs/heads/main") == ""
    rig.fail(r"POST .*/sarifs", status=403, body={"message": "Advanced Security must be enabled for this repository"})
    with pytest.raises(ForgeError) as caught:
        forge.upload_sarif(LOG, "a" * 40, "refs/heads/main")
    assert "switch code scanning on" in caught.value.cure
    noise = base64.b64encode(random.Random(1).randbytes(10_100_000)).decode()
    large: list[list[dict[str, Any]]] = [[{"results": [{}] * 25_001}], [{}] * 21, [{"results": [], "noise": noise}]]
    for runs in large:
        with pytest.raises(ForgeError, match="too large for GitHub"):
            forge.upload_sarif({"version": "2.1.0", "runs": runs}, "a" * 40, "refs/heads/main")
    assert len(rig.forge.sarifs) == 1


@pytest.mark.parametrize("name", ["octo", "octo/pro/ject", "../x", "octo/a b", "", "octo/x?y", "https://x/y"])
def test_names_that_are_no_repository(rig: Rig[Hub], name: str) -> None:
    with pytest.raises(ForgeError, match="is not the name of a repository"):
        open_github(name, rig.token, "fixbot/0", api=rig.api)
    assert rig.asked == []


@pytest.mark.parametrize("secret", ["", "  ", "two words", "line\nbreak", "t\u00f6ken"])
def test_texts_that_are_no_token(rig: Rig[Hub], secret: str) -> None:
    with pytest.raises(ForgeError, match="token is empty or has") as caught:
        client(rig, token=secret or " ")
    assert not secret.strip() or secret not in str(caught.value)


def test_every_request_names_its_sender_and_version(rig: Rig[Hub]) -> None:
    opened(rig).comment(1, "x", MARK)
    for request, _ in rig.asked:
        assert request.headers["user-agent"] == "fixbot/0"
        assert request.headers["x-github-api-version"] == "2022-11-28"
        assert request.headers["authorization"] == f"Bearer {rig.token}"
        assert not re.search(rig.token, request.target)
        assert request.headers.keys() <= {
            *("host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type"),
            *("user-agent", "x-github-api-version"),
        }
