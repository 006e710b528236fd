"""GitHub as a forge: github.com and Enterprise, with GITHUB_TOKEN, a personal token or that of an App."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fixbot.agent.deliver import github_models as models
from fixbot.agent.deliver.fields import entries, fields, text
from fixbot.agent.deliver.forge import Comment, Issue, People, Project, Pull, Remote
from fixbot.agent.deliver.github_errors import explain
from fixbot.agent.deliver.github_people import invite
from fixbot.agent.deliver.http import Client, Manners, Refused, Unsure
from fixbot.agent.deliver.scanning import pack
from fixbot.agent.deliver.tokens import basic, token
from fixbot.agent.errors import ForgeError

VERSION = "2022-11-28"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
_PULLS, _ISSUES, _COMMENTS = 30, 20, 20  # pages of 100 that are read at most
_ACTIONS = "github-actions[bot]"
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def open_github(
    repository: str,
    secret: str,
    agent: str,
    *,
    api: str = "https://api.github.com",
    server: str = "https://github.com",
    login: str = "",
    manners: Manners | None = None,
) -> GitHub:
    """The repository ``OWNER/NAME``. ``secret`` is the token, ``agent`` the program's name and version.

    Enterprise: ``api`` is ``https://HOST/api/v3``, ``server`` ``https://HOST``. ``login``: the token's account, where GitHub does not
    tell it. Raises ForgeError for a name, token or address that cannot be.
    """
    if not _NAME.fullmatch(repository):
        raise ForgeError(f"{repository!r} is not the name of a repository on GitHub", "give it as OWNER/NAME")
    headers = {"accept": "application/vnd.github+json", "user-agent": agent, "x-github-api-version": VERSION}
    client = Client(api, token(secret), headers, explain, manners or Manners())
    return GitHub(client, server.rstrip("/"), repository, login)


@dataclass(slots=True)
class GitHub:
    """One repository on GitHub; see ``Forge`` for what the methods do."""

    client: Client
    server: str
    repository: str
    login: str = ""
    name: str = "GitHub"
    _project: Project | None = field(default=None, init=False)

    @property
    def notes(self) -> list[str]:
        """What a person should know about how things were done."""
        return self.client.notes

    @property
    def _path(self) -> str:
        return f"/repos/{self.repository}"

    def _page(self, kind: str) -> str:
        return f"{self.server}/{self.repository}/{kind}/"

    def project(self) -> Project:
        """The repository itself; a renamed one is used under its new name from then on."""
        if self._project is None:
            data = self.client.get(self._path)
            found = text(data, "full_name")
            if not _NAME.fullmatch(found):
                raise ForgeError("GitHub sent no repository", "see whether the API's address is right")
            self.repository = found
            self._project = models.project(data, f"{self.server}/{found}")
        return self._project

    def remote(self) -> Remote:
        """Where and as whom git pushes."""
        return Remote(f"{self.project().url}.git", basic("x-access-token", self.client.key))

    def account(self) -> str:
        """The login of fixbot's own account. That of an App cannot be asked for by REST."""
        if not self.login:
            try:
                self.login = text(self.client.get("/user"), "login")
            except Refused as refused:
                if refused.status != 403:
                    raise
                self.login = self._viewer() or _ACTIONS
        return self.login

    def _viewer(self) -> str:
        try:
            base = self.client.base
            graph = Client(
                base.removesuffix("/v3"), self.client.key, self.client.headers, explain, self.client.manners
            )  # GraphQL is beside the REST API on Enterprise, below it on github.com
            found = graph.write("POST", "/graphql", {"query": "{viewer{login}}"}, repeatable=True).data
        except ForgeError:
            return ""
        return text(found, "data", "viewer", "login")

    def pulls(self, prefix: str) -> Sequence[Pull]:
        """The pull requests of branches that begin with ``prefix``, newest first; of at most 3,000 in the repository."""
        query = {"state": "all", "sort": "created", "direction": "desc"}
        pages = self.client.pages(f"{self._path}/pulls", _PULLS, **query)
        found = [models.pull(one, self._page("pull")) for page in pages for one in entries(page) if models.is_own(one)]
        return [one for one in found if one.branch.startswith(prefix)]

    def open_pull(self, branch: str, base: str, title: str, body: str, *, draft: bool) -> Pull:
        """The open pull request of a branch, opened if there is none."""
        wanted = {"head": branch, "base": base, "title": title, "body": body, "draft": draft}
        return self.client.once(lambda: self._open(branch, base), lambda: self._make_pull(wanted))

    def _make_pull(self, wanted: Mapping[str, Any]) -> Pull:
        try:
            made = self.client.write("POST", f"{self._path}/pulls", wanted).data
        except Refused as refused:
            if refused.status == 422 and "already exists" in refused.words and (found := self._open(wanted["head"], wanted["base"])):
                return found
            if refused.status == 422 and any(text(one, "field") == "head" for one in entries(fields(refused.data).get("errors"))):
                # Not seen everywhere yet, if it was pushed a moment ago.
                raise Unsure(refused.message, f"see whether branch {wanted['head']} is on GitHub") from None
            if refused.status == 422 and wanted["draft"] and "draft" in refused.words.lower():
                self.notes.append("drafts are not possible in this repository: the pull request was opened for review")
                return self._make_pull({**wanted, "draft": False})
            raise
        return models.pull(made, self._page("pull"))

    def _open(self, branch: str, base: str) -> Pull | None:
        owner = self.repository.partition("/")[0]
        listed = self.client.get(f"{self._path}/pulls", state="open", head=f"{owner}:{branch}", per_page=100)
        found = [models.pull(one, self._page("pull")) for one in entries(listed) if models.is_own(one)]
        found = [one for one in found if one.branch == branch]
        return next((one for one in found if one.base == base), None) or next(iter(found), None)

    def edit_pull(self, number: int, *, title: str | None = None, body: str | None = None, close: bool = False) -> None:
        """Change what is given; ``close`` without merging."""
        given = {"title": title, "body": body, "state": "closed" if close else None}
        changes = {name: value for name, value in given.items() if value is not None}
        if changes:
            self.client.write("PATCH", f"{self._path}/pulls/{number}", changes, repeatable=True)

    def invite(self, number: int, people: People) -> Sequence[str]:
        """Set labels, reviewers and assignees; what could not be set, one sentence each."""
        return list(invite(self.client, self._path, number, people))

    def comments(self, number: int) -> Sequence[Comment]:
        """The comments on a pull request or issue, oldest first."""
        pages = self.client.pages(f"{self._path}/issues/{number}/comments", _COMMENTS)
        return [models.comment(one, self.account()) for page in pages for one in entries(page)]

    def comment(self, number: int, body: str, marker: str) -> None:
        """Say something once."""
        path = f"{self._path}/issues/{number}/comments"

        def said() -> bool | None:
            return any(one.ours and marker in one.body for one in self.comments(number)) or None

        self.client.once(said, lambda: bool(self.client.write("POST", path, {"body": f"{marker}\n{body}"})))

    def dashboard(self, marker: str) -> Issue | None:
        """The oldest issue of our own account whose body holds ``marker``; open twins are closed."""
        found = self._dashboards(marker)
        opened = [one for one in found if one.open]
        for twin in opened[1:]:
            self.client.write(
                "PATCH", f"{self._path}/issues/{twin.number}", {"state": "closed", "state_reason": "not_planned"}, repeatable=True
            )
        return next(iter(opened or found), None)

    def _dashboards(self, marker: str) -> list[Issue]:
        """Our issues with the marker, oldest first. Those of a bot are not always found by its name: then the latest ones are looked at."""
        mine = {"creator": self.account(), "state": "all", "sort": "created", "direction": "asc"}
        latest = {"state": "all", "sort": "updated", "direction": "desc"}
        for query, most in ((mine, _ISSUES), (latest, 1)):
            try:
                pages = list(self.client.pages(f"{self._path}/issues", most, **query))
            except Refused as refused:
                if refused.status != 422 or query is latest:
                    raise
                continue  # no such creator
            listed = [one for page in pages for one in entries(page) if "pull_request" not in one]
            own = [one for one in listed if text(one, "user", "login").lower() == self.account().lower()]
            found = [models.issue(one, self._page("issues")) for one in own if marker in text(one, "body")]
            if found:
                return sorted(found, key=lambda one: one.number)
        return []

    def save_dashboard(self, issue: Issue | None, title: str, body: str, marker: str) -> Issue:
        """Write the dashboard; nothing is sent where it is as it should be."""
        wanted = {"title": title, "body": f"{marker}\n{body}"}
        page = self._page("issues")

        def create() -> Issue:
            return models.issue(self.client.write("POST", f"{self._path}/issues", wanted).data, page)

        issue = issue or self.client.once(lambda: self.dashboard(marker), create)
        if (issue.title, issue.body, issue.open) == (title, wanted["body"], True):
            return issue
        answer = self.client.write("PATCH", f"{self._path}/issues/{issue.number}", {**wanted, "state": "open"}, repeatable=True)
        return models.issue(answer.data, page)

    def upload_sarif(self, sarif: Mapping[str, Any], commit: str, ref: str) -> str:
        """Hand a SARIF log to code scanning; where its processing can be looked up."""
        path = f"{self._path}/code-scanning/sarifs"
        body = {"commit_sha": commit, "ref": ref, "sarif": pack(sarif)}
        made = text(self.client.write("POST", path, body, repeatable=True).data, "id")
        return f"{self.client.base}{path}/{quote(made, safe='')}" if _ID.fullmatch(made) else ""
