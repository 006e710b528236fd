"""What a GitHub of the tests knows: pull requests, issues, comments and labels, and what people do to them."""

from __future__ import annotations

import time
from typing import Any

from forge_repository import Bare
from forge_rig import Token

BOT, PERSON = "github-actions[bot]", "octo"


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class State:
    """The state: pull requests and issues by number, comments, labels, uploads. Tests may change any of it.

    ``people`` maps those who can be asked to review to their association; ``teams`` are slugs.
    """

    def __init__(self, bare: Bare, name: str) -> None:
        self.bare, self.name = bare, name
        self.tokens = {"ghs_" + "a" * 36: Token(BOT, app=True), "ghp_" + "b" * 36: Token(PERSON)}
        self.people = {"octo": "OWNER", "ann": "COLLABORATOR", "bob": "MEMBER", BOT: "NONE"}
        self.teams = {"core"}
        self.issues_on, self.archived, self.actions_may_open = True, False, True
        self.pulls: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.labels: dict[str, str] = {"bug": "d73a4a"}
        self.sarifs: dict[str, Any] = {}
        self.former = ""  # an earlier name of the repository
        self._last, self._ids = 0, 1000
        self._merged: dict[tuple[str, str], bool] = {}

    # What people do.

    def merge(self, number: int, method: str = "merge") -> str:
        """Merge an open pull request in the repository; the base's new commit. Raises forge_repository.Conflict."""
        pull = self.pull(number)
        assert pull["state"] == "open", pull
        made = self.bare.merge(pull["base"]["ref"], pull["head"]["ref"], method, f"Merge #{number}")
        pull |= {"state": "closed", "merged_at": now(), "closed_at": now(), "merge_commit_sha": made}
        return made

    def close(self, number: int) -> None:
        """Close a pull request or issue without merging it."""
        self.thing(number).update(state="closed", closed_at=now(), updated_at=now())

    def reopen(self, number: int) -> None:
        """Open a pull request or issue again."""
        self.thing(number).update(state="open", closed_at=None, updated_at=now())

    def say(self, number: int, login: str, body: str) -> int:
        """A person's comment; its id."""
        return self.add_comment(number, login, body)["id"]

    def open_as(self, login: str, title: str, body: str) -> int:
        """An issue of somebody; its number."""
        return self.add_issue(login, title, body)["number"]

    def open(self) -> list[dict[str, Any]]:
        """The open pull requests."""
        return [one for one in self.all() if one["state"] == "open"]

    def all(self) -> list[dict[str, Any]]:
        """All pull requests, up to date."""
        heads = self.bare.heads()
        return [self._refresh(self.pulls[number], heads) for number in sorted(self.pulls)]

    def pull(self, number: int) -> dict[str, Any]:
        """A pull request, up to date."""
        return self._refresh(self.pulls[number], self.bare.heads())

    def _refresh(self, pull: dict[str, Any], heads: dict[str, str]) -> dict[str, Any]:
        """Bring one up to date with the repository: its head moves, its branch may be gone or merged by a push."""
        if pull["state"] == "open":
            head, base = pull["head"]["ref"], pull["base"]["ref"]
            if head not in heads:
                self.close(pull["number"])
            elif heads[head] != pull["head"]["sha"]:
                pull["head"]["sha"] = heads[head]
                pull["updated_at"] = now()
            if pull["state"] == "open" and self.merged(heads[base], pull["head"]["sha"]):
                pull |= {"state": "closed", "merged_at": now(), "merge_commit_sha": pull["head"]["sha"]}
        return pull

    def merged(self, base: str, head: str) -> bool:
        """Whether one commit has another in its history."""
        if (base, head) not in self._merged:
            self._merged[base, head] = self.bare.contains(base, head)
        return self._merged[base, head]

    def user(self, login: str) -> dict[str, Any]:
        return {"login": login, "id": abs(hash(login)) % 100000, "type": "Bot" if login.endswith("[bot]") else "User", "email": None}

    def repository(self) -> dict[str, Any]:
        owner, _, name = self.name.partition("/")
        return {
            **{"id": 1, "name": name, "full_name": self.name, "owner": self.user(owner), "private": False, "fork": False},
            **{"html_url": f"https://github.example/{self.name}", "default_branch": self.bare.branch, "description": None},
            **{"has_issues": self.issues_on, "archived": self.archived, "license": None},
        }

    def _number(self) -> int:
        self._last += 1
        return self._last

    def _id(self) -> int:
        self._ids += 1
        return self._ids

    def thing(self, number: int) -> dict[str, Any]:
        """A pull request or an issue."""
        return self.pulls.get(number) or self.issues[number]

    def add_comment(self, number: int, login: str, body: str) -> dict[str, Any]:
        self.thing(number)
        one = {"id": self._id(), "user": self.user(login), "body": body, "author_association": self.people.get(login, "NONE")}
        self.comments.setdefault(number, []).append(one | {"created_at": now()})
        return one

    def add_issue(self, login: str, title: str, body: str | None) -> dict[str, Any]:
        number = self._number()
        common = {"number": number, "id": self._id(), "title": title, "body": body, "state": "open", "user": self.user(login)}
        more: dict[str, Any] = {
            "labels": [],
            "assignees": [],
            "created_at": now(),
            "updated_at": now(),
            "closed_at": None,
            "state_reason": None,
        }
        self.issues[number] = common | more | {"html_url": f"https://github.example/{self.name}/issues/{number}"}
        return self.issues[number]

    def branch_pull(self, login: str, head: str, base: str, title: str, body: str | None, draft: bool = False) -> dict[str, Any]:
        """A pull request, without any of the API's checks."""
        made, heads = self.add_issue(login, title, body), self.bare.heads()
        del self.issues[made["number"]]
        owner = self.name.partition("/")[0]
        sides = {
            side: {"ref": ref, "sha": heads[ref], "label": f"{owner}:{ref}", "repo": self.repository(), "user": self.user(owner)}
            for side, ref in (("head", head), ("base", base))
        }
        more: dict[str, Any] = {
            "draft": draft,
            "merged_at": None,
            "merge_commit_sha": "f" * 40,
            "requested_reviewers": [],
            "requested_teams": [],
        }
        self.pulls[made["number"]] = made | more | sides | {"html_url": made["html_url"].replace("issues", "pull")}
        return self.pulls[made["number"]]
