"""GitLab as a forge: merge requests, notes and issues through REST v4, with a personal, group or project token of scope ``api``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fixbot.agent.deliver import gitlab_models as models
from fixbot.agent.deliver.fields import entries, number, text
from fixbot.agent.deliver.forge import Comment, Issue, People, Project, Pull, Remote
from fixbot.agent.deliver.http import Client, Manners, Refused
from fixbot.agent.deliver.tokens import basic, token
from fixbot.agent.errors import ForgeError

_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}/){1,20}[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_PULLS, _ISSUES, _NOTES = 30, 20, 20  # pages of 100 that are read at most


def open_gitlab(
    repository: str,
    secret: str,
    agent: str,
    *,
    api: str = "https://gitlab.com/api/v4",
    server: str = "https://gitlab.com",
    manners: Manners | None = None,
) -> GitLab:
    """The project ``GROUP/NAME`` (groups may be nested). ``secret`` is the token, ``agent`` the program's name and version.

    Raises ForgeError for a name, token or address that cannot be.
    """
    if not _NAME.fullmatch(repository):
        raise ForgeError(f"{repository!r} is not the path of a project on GitLab", "give it as GROUP/NAME")
    client = Client(api, token(secret), {"accept": "application/json", "user-agent": agent}, models.explain, manners or Manners())
    return GitLab(client, server.rstrip("/"), repository)


@dataclass(slots=True)
class GitLab:
    """One project on GitLab; see ``Forge`` for what the methods do. ``comments`` and ``comment`` are about merge requests only."""

    client: Client
    server: str
    repository: str
    name: str = "GitLab"
    login: str = ""
    _project: Project | None = field(default=None, init=False)
    _writers: dict[int, bool] = field(default_factory=dict[int, bool], init=False)

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how things were done."""
        return self.client.notes

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.repository, safe='')}"

    def _page(self, kind: str) -> str:
        return f"{self.server}/{self.repository}/-/{kind}/"

    def project(self) -> Project:
        """The project itself; a renamed one is used under its new path from then on."""
        if self._project is None:
            data = self.client.get(self._path)
            found = text(data, "path_with_namespace")
            if not _NAME.fullmatch(found):
                raise ForgeError("GitLab sent no project", "see whether the API's address is right")
            self.repository = found
            self._project = models.project(data, f"{self.server}/{found}")
        return self._project

    def remote(self) -> Remote:
        """Where and as whom git pushes."""
        return Remote(f"{self.project().url}.git", basic("oauth2", self.client.key))

    def account(self) -> str:
        """The login of the token's account."""
        self.login = self.login or text(self.client.get("/user"), "username")
        return self.login

    def pulls(self, prefix: str) -> Sequence[Pull]:
        """The merge requests of branches that begin with ``prefix``, newest first; of at most 3,000 in the project."""
        pages = self.client.pages(f"{self._path}/merge_requests", _PULLS, state="all", order_by="created_at", sort="desc")
        found = [models.pull(one, self._page("merge_requests")) for page in pages for one in entries(page) if models.is_own(one)]
        return [one for one in found if one.branch.startswith(prefix)]

    def open_pull(self, branch: str, base: str, title: str, body: str, *, draft: bool) -> Pull:
        """The open merge request of a branch, opened if there is none."""
        wanted = {"source_branch": branch, "target_branch": base, "title": models.titled(title, draft=draft)}
        wanted |= {"description": models.harmless(body)}

        def make() -> Pull:
            try:
                made = self.client.write("POST", f"{self._path}/merge_requests", {**wanted, "remove_source_branch": True}).data
            except Refused as refused:
                found = self._open(branch, base) if refused.status == 409 else None
                if found is None:
                    raise
                return found
            return models.pull(made, self._page("merge_requests"))

        return self.client.once(lambda: self._open(branch, base), make)

    def _open(self, branch: str, base: str) -> Pull | None:
        listed = self.client.get(f"{self._path}/merge_requests", state="opened", source_branch=branch, per_page=100)
        found = [models.pull(one, self._page("merge_requests")) for one in entries(listed) if models.is_own(one)]
        found = [one for one in found if one.branch == branch]
        return next((one for one in found if one.base == base), None) or next(iter(found), None)

    def edit_pull(self, number: int, *, title: str | None = None, body: str | None = None, close: bool = False) -> None:
        """Change what is given; ``close`` without merging. A draft stays one."""
        path = f"{self._path}/merge_requests/{number}"
        changes: dict[str, str] = {}
        if title is not None:
            changes["title"] = models.titled(title, draft=models.pull(self.client.get(path), "").draft)
        if body is not None:
            changes["description"] = models.harmless(body)
        if close:
            changes["state_event"] = "close"
        if changes:
            self.client.write("PUT", path, changes, repeatable=True)

    def invite(self, number: int, people: People) -> Sequence[str]:
        """Set labels, reviewers and assignees; what could not be set, one sentence each."""
        return list(self._invite(f"{self._path}/merge_requests/{number}", people)) if people != People() else []

    def _invite(self, path: str, people: People) -> Iterator[str]:
        now = self.client.get(path)
        there = {one.lower() for one in models.pull(now, "").labels}
        labels = [one for one in dict.fromkeys(people.labels) if one.lower() not in there]
        yield from (f"label {one} could not be set: it has a comma in it" for one in labels if "," in one)
        changes: dict[str, Any] = {}
        if usable := [one for one in labels if "," not in one]:
            changes["add_labels"] = ",".join(usable)
        asked: dict[str, dict[str, int]] = {}
        for role, logins in (("reviewer", people.reviewers), ("assignee", people.assignees)):
            asked[role] = {one: found for one in dict.fromkeys(logins) if (found := self._person(one))}
            yield from (f"{one} is not known to GitLab as a user: not set as {role}" for one in logins if one not in asked[role])
            known = models.ids(now, f"{role}s")
            if new := [one for one in asked[role].values() if one not in known]:
                changes[f"{role}_ids"] = known + new
        if not changes:
            return
        try:
            answer = self.client.write("PUT", path, changes, repeatable=True).data
        except Refused as refused:
            yield f"labels and people could not be set: {refused.words} ({refused.cure})"
            return
        for role, found in asked.items():
            kept = models.ids(answer, f"{role}s")
            yield from (
                f"{one} could not be set as {role}: without access, or GitLab takes one only" for one in found if found[one] not in kept
            )

    def _person(self, login: str) -> int:
        if "/" in login:
            return 0  # groups are not asked
        listed = entries(self.client.get("/users", username=login))
        return next((number(one, "id") for one in listed if text(one, "username").lower() == login.lower()), 0)

    def comments(self, number: int) -> Sequence[Comment]:
        """The comments on a merge request, oldest first."""
        pages = self.client.pages(f"{self._path}/merge_requests/{number}/notes", _NOTES, order_by="created_at", sort="asc")
        written = [one for page in pages for one in entries(page) if one.get("system") is not True]
        return [models.comment(one, self.account(), self._may_write(one.get("author"))) for one in written]

    def _may_write(self, author: object) -> bool:
        person = number(author, "id")
        if person not in self._writers:
            try:
                found = self.client.get(f"{self._path}/members/all/{person}")
                self._writers[person] = number(found, "access_level") >= models.WRITER and number(found, "id") == person != 0
            except Refused as refused:
                if refused.status != 404:
                    raise
                self._writers[person] = False
        return self._writers[person]

    def comment(self, number: int, body: str, marker: str) -> None:
        """Say something once."""
        path, note = f"{self._path}/merge_requests/{number}/notes", {"body": models.harmless(f"{marker}\n{body}")}

        def said() -> bool | None:
            return any(one.ours and marker in one.body for one in self.comments(number)) or None

        self.client.once(said, lambda: bool(self.client.write("POST", path, note)))

    def dashboard(self, marker: str) -> Issue | None:
        """The oldest issue of our own account whose body holds ``marker``; open twins are closed."""
        query = {"author_username": self.account(), "scope": "all", "state": "all", "order_by": "created_at", "sort": "asc"}
        listed = [one for page in self.client.pages(f"{self._path}/issues", _ISSUES, **query) for one in entries(page)]
        own = [one for one in listed if text(one, "author", "username").lower() == self.account().lower()]
        found = sorted((models.issue(one, self._page("issues")) for one in own), key=lambda one: one.number)
        found = [one for one in found if marker in one.body]
        opened = [one for one in found if one.open]
        for twin in opened[1:]:
            self.client.write("PUT", f"{self._path}/issues/{twin.number}", {"state_event": "close"}, repeatable=True)
        return next(iter(opened or found), None)

    def save_dashboard(self, issue: Issue | None, title: str, body: str, marker: str) -> Issue:
        """Write the dashboard; nothing is sent where it is as it should be."""
        wanted = f"{marker}\n{body}"
        sent = {"title": title, "description": models.harmless(wanted)}
        path = f"{self._path}/issues"

        def make() -> Issue:
            return models.issue(self.client.write("POST", path, sent).data, self._page("issues"))

        issue = issue or self.client.once(lambda: self.dashboard(marker), make)
        if (issue.title, issue.body, issue.open) == (title, wanted, True):
            return issue
        again = {} if issue.open else {"state_event": "reopen"}
        return models.issue(
            self.client.write("PUT", f"{path}/{issue.number}", {**sent, **again}, repeatable=True).data, self._page("issues")
        )

    def upload_sarif(self, sarif: Mapping[str, Any], commit: str, ref: str) -> str:
        """GitLab takes no SARIF through its API. Raises ForgeError."""
        raise ForgeError(
            "GitLab takes no SARIF log through its API", "keep it as the job's artifact (`artifacts: reports: sast` or `paths`)"
        )
