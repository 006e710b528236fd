"""What GitHub sends, as the forge protocol's own types. Fields that are not used are ignored, null is taken for empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from fixbot.agent.deliver.forge import Comment, Issue, Project, Pull, State

_WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


def fields(data: object) -> Mapping[str, Any]:
    """A JSON object; empty where something else was sent."""
    return cast("Mapping[str, Any]", data) if isinstance(data, dict) else {}


def entries(data: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a JSON list; none where something else was sent."""
    for one in cast("list[object]", data) if isinstance(data, list) else ():
        if isinstance(one, dict):
            yield cast("Mapping[str, Any]", one)


def text(data: object, *names: str) -> str:
    """A text some objects deep; empty where there is none."""
    for name in names:
        data = fields(data).get(name)
    return data if isinstance(data, str) else ""


def number(data: object, name: str) -> int:
    """A whole number; 0 where there is none."""
    found = fields(data).get(name)
    return found if type(found) is int else 0


def named(data: object, listed: str, name: str) -> tuple[str, ...]:
    """One text of each object in a list."""
    return tuple(text(one, name) for one in entries(fields(data).get(listed)))


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
