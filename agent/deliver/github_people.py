"""Labels, reviewers and assignees of a pull request on GitHub. What cannot be set is told and is no reason to fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fixbot.agent.deliver.fields import entries, named, text
from fixbot.agent.deliver.forge import People
from fixbot.agent.deliver.http import Client, Refused

_COLOUR = "5319e7"


def invite(client: Client, path: str, number: int, people: People) -> Iterator[str]:
    """Set what is not set yet, on pull request ``number`` of the repository at ``path``; yields what could not be."""
    if people == People():
        return
    now = client.get(f"{path}/pulls/{number}")
    yield from _label(client, path, number, _missing(people.labels, named(now, "labels", "name")))
    yield from _assign(client, path, number, _missing(people.assignees, named(now, "assignees", "login")))
    yield from _review(client, f"{path}/pulls/{number}", people.reviewers, now)


def _missing(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    known = {one.lower() for one in there}
    return [one for one in dict.fromkeys(wanted) if one.lower() not in known]


def _label(client: Client, path: str, number: int, labels: Sequence[str]) -> Iterator[str]:
    usable: list[str] = []
    for label in labels:
        try:
            _make_label(client, path, label)
            usable.append(label)
        except Refused as refused:
            yield f"label {label} could not be made: {refused.words} ({refused.cure})"
    if usable:
        try:
            client.write("POST", f"{path}/issues/{number}/labels", {"labels": usable}, repeatable=True)
        except Refused as refused:
            yield f"labels could not be set: {refused.words} ({refused.cure})"


def _make_label(client: Client, path: str, label: str) -> None:
    try:
        client.get(f"{path}/labels/{quote(label, safe='')}")
    except Refused as refused:
        if refused.status != 404:
            raise
        try:
            client.write("POST", f"{path}/labels", {"name": label, "color": _COLOUR}, repeatable=True)
        except Refused as twice:
            if "already_exists" not in str(twice.data):
                raise


def _assign(client: Client, path: str, number: int, logins: Sequence[str]) -> Iterator[str]:
    if not logins:
        return
    try:
        answer = client.write("POST", f"{path}/issues/{number}/assignees", {"assignees": list(logins)}, repeatable=True)
    except Refused as refused:
        yield f"nobody could be assigned: {refused.words} ({refused.cure})"
        return
    for login in _missing(logins, named(answer.data, "assignees", "login")):
        yield f"{login} could not be assigned: not known, or without access to the repository"


def _review(client: Client, path: str, wanted: Sequence[str], now: Any) -> Iterator[str]:
    users = _missing([one for one in wanted if "/" not in one], named(now, "requested_reviewers", "login"))
    teams = _missing([one.rpartition("/")[2] for one in wanted if "/" in one], named(now, "requested_teams", "slug"))
    if users:
        users = _missing(users, [text(one, "user", "login") for one in entries(client.get(f"{path}/reviews", per_page=100))])
    if not users and not teams:
        return
    if _ask(client, path, _body(users, teams)) is None:
        return
    for body in (*(_body([one], []) for one in users), *(_body([], [one]) for one in teams)):  # one wrong name spoils all
        refused = _ask(client, path, body)
        if refused is not None:
            name = next(name for names in body.values() for name in names)
            yield f"{name} could not be asked to review: {refused.words} ({refused.cure})"


def _body(users: Sequence[str], teams: Sequence[str]) -> Mapping[str, list[str]]:
    return {name: list(some) for name, some in (("reviewers", users), ("team_reviewers", teams)) if some}


def _ask(client: Client, path: str, body: Mapping[str, list[str]]) -> Refused | None:
    try:
        client.write("POST", f"{path}/requested_reviewers", body, repeatable=True)
    except Refused as refused:
        return refused
    return None
