"""What GitLab sends, as the forge protocol's own types, its refusals with their cure, and texts that it must not take for commands."""

from __future__ import annotations

import re
from typing import cast

from fixbot.agent.deliver.fields import entries, fields, number, text
from fixbot.agent.deliver.forge import Comment, Issue, Project, Pull, State
from fixbot.agent.deliver.limits import Answer

WRITER = 30  # access level of a developer
_DRAFT = re.compile(r"(?i)\s*(?:\[draft\]|\(draft\)|draft:)\s*")
_STATES = {"opened": State.OPEN, "locked": State.OPEN, "merged": State.MERGED}
_CURES = {
    401: "the token is not valid or has expired: make a new one",
    404: "check the project's path; a private one is not found with a token that may not read it",
    413: "it is too large for GitLab",
}


def harmless(body: str) -> str:
    r"""A text in which no line begins with ``/``: GitLab would carry out ``/close``. ``written`` is the way back."""
    return re.sub(r"(?m)^([^\S\n]*)(\\*)/", r"\1\\\2/", body)


def written(body: str) -> str:
    """The text that ``harmless`` was given."""
    return re.sub(r"(?m)^([^\S\n]*)\\(\\*)/", r"\1\2/", body)


def titled(title: str, *, draft: bool) -> str:
    """A title that says whether it is a draft."""
    plain = _DRAFT.sub("", title, count=1) if _DRAFT.match(title) else title
    return f"Draft: {plain}" if draft else plain


def project(data: object, url: str) -> Project:
    """The repository. ``url``: its page."""
    found = fields(data)
    issues = found.get("issues_enabled") is not False and text(data, "issues_access_level") != "disabled"
    return Project(url, text(data, "default_branch"), issues, found.get("archived") is True)


def pull(data: object, url: str) -> Pull:
    """A merge request. ``url``: the address that its number is put after."""
    found = fields(data)
    state = _STATES.get(text(data, "state"), State.CLOSED)
    merged = text(data, "merge_commit_sha") or text(data, "squash_commit_sha") or text(data, "sha")
    labels = found.get("labels")
    return Pull(
        number=number(data, "iid"),
        url=f"{url}{number(data, 'iid')}",
        branch=text(data, "source_branch"),
        head=text(data, "sha"),
        base=text(data, "target_branch"),
        state=state,
        title=titled(text(data, "title"), draft=False),
        body=written(text(data, "description")),
        draft=found.get("draft") is True,
        labels=tuple(map(str, cast("list[object]", labels))) if isinstance(labels, list) else (),
        merged_as=merged if state is State.MERGED else "",
    )


def is_own(data: object) -> bool:
    """Whether a merge request's branch is in the project itself, not in a fork."""
    return number(data, "source_project_id") != 0 and number(data, "source_project_id") == number(data, "target_project_id")


def comment(data: object, login: str, trusted: bool) -> Comment:
    """A note. ``login``: fixbot's own."""
    author = text(data, "author", "username")
    return Comment(number(data, "id"), author, written(text(data, "body")), trusted, author.lower() == login.lower())


def issue(data: object, url: str) -> Issue:
    """An issue. ``url``: the address that its number is put after."""
    body, opened = written(text(data, "description")), text(data, "state") == "opened"
    return Issue(number(data, "iid"), f"{url}{number(data, 'iid')}", text(data, "title"), body, opened)


def explain(method: str, path: str, answer: Answer) -> tuple[str, str]:
    """GitLab's words and what to do about them."""
    words = said(answer.data)
    if "insufficient_scope" in words or "higher privileges" in words:
        return words, "give the token the scope `api`"
    if "archived" in words:
        return words, "the project is archived and takes no changes"
    if answer.status in (403, 404) and re.search(r"/issues\b", path):
        return words, "issues may be switched off in the project: then no dashboard is possible; or the token's role is too low (Reporter)"
    if answer.status == 403:
        role = "Reporter" if method == "GET" else "Developer"
        return words, f"give the token the scope `api` and the role {role} in the project"
    return words, _CURES.get(answer.status, "see what GitLab says about it")


def said(data: object) -> str:
    """The message of a refusal, which is a text, a list, or lists by field."""
    message: object = fields(data).get("message")
    parts = [text(data, "error"), text(data, "error_description"), *_texts(message)]
    parts += (f"{name} {', '.join(_texts(some))}" for name, some in fields(message).items())
    return "; ".join(filter(None, parts)) or "no reason given"


def _texts(data: object) -> list[str]:
    listed = cast("list[object]", data) if isinstance(data, list) else [data]
    return [one for one in listed if isinstance(one, str)]


def ids(data: object, listed: str) -> list[int]:
    """The ids of the people in a list."""
    return [number(one, "id") for one in entries(fields(data).get(listed))]
