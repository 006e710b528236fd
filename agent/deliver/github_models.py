"""What GitHub sends, as the forge protocol's own types. Fields that are not used are ignored, null is taken for empty."""

from __future__ import annotations

from fixbot.agent.deliver.fields import fields, named, number, text
from fixbot.agent.deliver.forge import Comment, Issue, Project, Pull, State

_WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


def project(data: object, url: str) -> Project:
    """The repository. ``url``: its page."""
    archived, issues = fields(data).get("archived") is True, fields(data).get("has_issues") is not False
    return Project(url, text(data, "default_branch"), issues, archived)


def pull(data: object, url: str) -> Pull:
    """A pull request. ``url``: the address that its number is put after."""
    merged = bool(fields(data).get("merged_at"))
    state = State.MERGED if merged else State.OPEN if text(data, "state") == "open" else State.CLOSED
    return Pull(
        number=number(data, "number"),
        url=f"{url}{number(data, 'number')}",
        branch=text(data, "head", "ref"),
        head=text(data, "head", "sha"),
        base=text(data, "base", "ref"),
        state=state,
        title=text(data, "title"),
        body=text(data, "body"),
        draft=fields(data).get("draft") is True,
        labels=named(data, "labels", "name"),
        merged_as=text(data, "merge_commit_sha") if merged else "",
    )


def is_own(data: object) -> bool:
    """Whether a pull request's branch is in the repository itself, not in a fork (null: one that is gone)."""
    head, base = (fields(fields(data).get(side)).get("repo") for side in ("head", "base"))
    return number(head, "id") != 0 and number(head, "id") == number(base, "id")


def comment(data: object, login: str) -> Comment:
    """A comment. ``login``: fixbot's own."""
    author = text(data, "user", "login")
    trusted = text(data, "author_association") in _WRITERS
    return Comment(number(data, "id"), author, text(data, "body"), trusted, author.lower() == login.lower())


def issue(data: object, url: str) -> Issue:
    """An issue. ``url``: the address that its number is put after."""
    return Issue(
        number(data, "number"), f"{url}{number(data, 'number')}", text(data, "title"), text(data, "body"), text(data, "state") == "open"
    )
