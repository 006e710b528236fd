"""A fake of GitLab's REST API for one project, on the same state as the fake of GitHub. It answers as GitLab does."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from forge_github import paged
from forge_github_state import State, now
from forge_repository import Bare, make_bare
from forge_rig import Reply, Request, Rig, Token, serve

COMMAND = re.compile(r"(?m)^/(?:close|merge|assign|approve|label)\b")


def refused(status: int, message: object) -> Reply:
    """GitLab's way to say no."""
    return Reply(status, {"message": message})


class GitLab(State):
    """The API on top of the state. ``carried_out`` are texts that GitLab would have taken for commands: it should stay empty."""

    prefix, checked = "/api/v4", False

    def __init__(self, bare: Bare, name: str) -> None:
        super().__init__(bare, name)
        self.tokens = {"glpat-" + "c" * 20: Token("fixbot-bot"), "glpat-" + "r" * 20: Token("octo", frozenset())}
        self.people = {"octo": "OWNER", "ann": "MEMBER", "stranger": "NONE", "fixbot-bot": "MEMBER"}
        self.one_reviewer = False
        self.carried_out: list[str] = []

    def handle(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.token is None:
            return refused(401, "401 Unauthorized")
        if request.path == "/user":
            return Reply(200, self.person(request.token.login))
        if request.path == "/users":
            return Reply(200, [self.person(one) for one in self.people if one == request.query["username"]])
        own = f"/projects/{quote(self.name, safe='')}"
        if request.path != own and not request.path.startswith(f"{own}/"):
            return refused(404, "404 Project Not Found")
        if request.method != "GET" and not request.token.writes:
            return Reply(
                403, {"error": "insufficient_scope", "error_description": "The request requires higher privileges", "scope": "api"}
            )
        for method, pattern, route in ROUTES:
            if method == request.method and (match := re.fullmatch(pattern, request.path.removeprefix(own))):
                return route(self, request, match)
        return refused(404, "404 Not Found")

    def person(self, login: str) -> dict[str, Any]:
        """A user as GitLab shows it."""
        return {"id": self.user(login)["id"], "username": login}

    def text(self, body: dict[str, Any], name: str) -> str:
        """A text of a request; what would be a command is noted."""
        self.carried_out += COMMAND.findall(str(body.get(name) or ""))
        return str(body.get(name) or "")

    def merge_request(self, pull: dict[str, Any]) -> dict[str, Any]:
        """A merge request as GitLab shows it."""
        merged, fork = pull["merged_at"] is not None, pull["head"]["repo"] is None
        state = "merged" if merged else {"open": "opened"}.get(pull["state"], "closed")
        return {
            **{"id": pull["id"], "iid": pull["number"], "title": pull["title"], "description": pull["body"], "sha": pull["head"]["sha"]},
            **{"state": state, "draft": pull["title"].startswith("Draft: ")},
            **{"source_branch": pull["head"]["ref"], "target_branch": pull["base"]["ref"], "target_project_id": 1},
            **{"source_project_id": None if fork else 1, "labels": [one["name"] for one in pull["labels"]]},
            **{"merge_commit_sha": pull["merge_commit_sha"] if merged else None, "squash_commit_sha": None},
            **{"author": self.person(pull["user"]["login"])},
            **{role: [self.person(one["login"]) for one in pull[kept]] for role, kept in PEOPLE.items()},
        }

    def issue(self, one: dict[str, Any]) -> dict[str, Any]:
        """An issue as GitLab shows it."""
        state, author = {"open": "opened"}.get(one["state"], "closed"), self.person(one["user"]["login"])
        return {"iid": one["number"], "title": one["title"], "description": one["body"], "state": state, "author": author}

    def change(self, thing: dict[str, Any], body: dict[str, Any]) -> None:
        """Carry out an edit."""
        if "title" in body:
            thing["title"] = body["title"]
        if "description" in body:
            thing["body"] = self.text(body, "description")
        if event := body.get("state_event"):
            thing["state"] = "open" if event == "reopen" else "closed"
        for label in filter(None, body.get("add_labels", "").split(",")):
            thing["labels"] += [] if {"name": label} in thing["labels"] else [{"name": label}]
        for role, kept in PEOPLE.items():
            if (wanted := body.get(f"{role[:-1]}_ids")) is not None:
                may = {self.user(login)["id"]: self.user(login) for login, level in self.people.items() if level != "NONE"}
                thing[kept] = [may[one] for one in wanted if one in may][: 1 if self.one_reviewer else None]
        thing["updated_at"] = now()


PEOPLE = {"reviewers": "requested_reviewers", "assignees": "assignees"}


def _project(lab: GitLab, _request: Request, _: re.Match[str]) -> Reply:
    switched = {"issues_enabled": lab.issues_on, "issues_access_level": "enabled" if lab.issues_on else "disabled"}
    named = {"id": 1, "path_with_namespace": lab.name, "default_branch": lab.bare.branch, "archived": lab.archived}
    return Reply(200, named | switched)


def _list_pulls(lab: GitLab, request: Request, _: re.Match[str]) -> Reply:
    state, branch = request.query.get("state", "all"), request.query.get("source_branch", "")
    found = [one for one in map(lab.merge_request, reversed(lab.all())) if state in ("all", one["state"])]
    return paged(request, [one for one in found if branch in ("", one["source_branch"])])


def _open_pull(lab: GitLab, request: Request, _: re.Match[str]) -> Reply:
    body, heads = request.body, lab.bare.heads()
    assert request.token is not None
    for side in ("source_branch", "target_branch"):
        if body[side] not in heads:
            return refused(422, [f"{side.replace('_', ' ').capitalize()} does not exist"])
    for one in map(lab.merge_request, lab.open()):
        if (one["source_branch"], one["source_project_id"]) == (body["source_branch"], 1):
            return refused(409, [f"Another open merge request already exists for this source branch: !{one['iid']}"])
    source, target = body["source_branch"], body["target_branch"]
    made = lab.branch_pull(request.token.login, source, target, body["title"], lab.text(body, "description"))
    return Reply(201, lab.merge_request(made))


def _pull(lab: GitLab, request: Request, match: re.Match[str]) -> Reply:
    number = int(match[1])
    if number not in lab.pulls:
        return refused(404, "404 Not found")
    if request.method == "PUT":
        lab.change(lab.pulls[number], request.body)
    return Reply(200, lab.merge_request(lab.pull(number)))


def _notes(lab: GitLab, request: Request, match: re.Match[str]) -> Reply:
    number = int(match[1])
    if number not in lab.pulls:
        return refused(404, "404 Not found")
    if request.method == "POST":
        assert request.token is not None
        made = lab.add_comment(number, request.token.login, lab.text(request.body, "body"))
        return Reply(201, {"id": made["id"], "body": made["body"]})
    said = [{"id": 1, "system": True, "body": "changed the description", "author": lab.person("ann")}]
    for one in lab.comments.get(number, []):
        author = one["user"] and lab.person(one["user"]["login"])
        said.append({"id": one["id"], "system": False, "body": one["body"], "author": author})
    return paged(request, said)


def _issues(lab: GitLab, request: Request, _: re.Match[str]) -> Reply:
    if not lab.issues_on:
        return refused(403, "403 Forbidden")
    if request.method == "POST":
        assert request.token is not None
        made = lab.add_issue(request.token.login, request.body["title"], lab.text(request.body, "description"))
        return Reply(201, lab.issue(made))
    return paged(request, [lab.issue(one) for one in lab.issues.values() if one["user"]["login"] == request.query["author_username"]])


def _issue(lab: GitLab, request: Request, match: re.Match[str]) -> Reply:
    lab.change(lab.issues[int(match[1])], request.body)
    return Reply(200, lab.issue(lab.issues[int(match[1])]))


def _member(lab: GitLab, _request: Request, match: re.Match[str]) -> Reply:
    levels = {"OWNER": 50, "MEMBER": 30, "COLLABORATOR": 20}
    login = next((one for one in lab.people if lab.user(one)["id"] == int(match[1]) and lab.people[one] in levels), None)
    return Reply(200, lab.person(login) | {"access_level": levels[lab.people[login]]}) if login else refused(404, "404 Not found")


ROUTES: tuple[tuple[str, str, Callable[[GitLab, Request, re.Match[str]], Reply]], ...] = (
    ("GET", "", _project),
    ("GET", "/merge_requests", _list_pulls),
    ("POST", "/merge_requests", _open_pull),
    ("GET", r"/merge_requests/(\d+)", _pull),
    ("PUT", r"/merge_requests/(\d+)", _pull),
    ("GET", r"/merge_requests/(\d+)/notes", _notes),
    ("POST", r"/merge_requests/(\d+)/notes", _notes),
    ("GET", "/issues", _issues),
    ("POST", "/issues", _issues),
    ("PUT", r"/issues/(\d+)", _issue),
    ("GET", r"/members/all/(\d+)", _member),
)


@contextlib.contextmanager
def gitlab_rig(folder: Path, files: Mapping[str, str], name: str = "group/team/project") -> Generator[Rig[GitLab]]:
    """A GitLab with one project, whose first commit has the given files. ``rig.token`` is that of the project's bot."""
    bare = make_bare(folder / "forge" / f"{name}.git", files)
    with serve(Rig(GitLab(bare, name), bare, name)) as rig:
        yield rig
        assert rig.forge.carried_out == []
