"""A fake of GitHub's REST API for one repository. It keeps state, reads branches from the bare repository, and answers as GitHub does."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import ssl
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from forge_github_state import BOT, State, now
from forge_repository import make_bare
from forge_rig import Reply, Request, Rig, serve

LIMIT = 65536  # characters of a body


def refused(status: int, message: str, *errors: Mapping[str, Any], **headers: str) -> Reply:
    """GitHub's way to say no."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body | ({"errors": list(errors)} if errors else {}), named)


def invalid(resource: str, field: str = "", message: str = "", code: str = "custom") -> Reply:
    """A 422 with one error."""
    error = {"resource": resource, "code": code if message else "invalid"} | ({"field": field} if field else {})
    return refused(422, "Validation Failed", error | ({"message": message} if message else {}))


class GitHub(State):
    """The API on top of the state."""

    prefix, checked = "/api/v3", True

    def handle(self, request: Request) -> Reply:
        """The answer to a request."""
        reply = self._answer(request)
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4990", "X-RateLimit-Reset": str(int(time.time()) + 3600)}
        return Reply(reply.status, reply.body, {**limits, **reply.headers})

    def _answer(self, request: Request) -> Reply:
        if request.token is None:
            return refused(401, "Bad credentials")
        if request.path == "/api/graphql":
            return Reply(200, {"data": {"viewer": {"login": request.token.login}}})
        if request.path == "/user":
            user = Reply(200, self.user(request.token.login))
            return refused(403, "Resource not accessible by integration") if request.token.app else user
        path = re.sub(r"^/repositories/1\b", f"/repos/{self.name}", request.path)
        if self.former and path.startswith(f"/repos/{self.former}"):
            moved = f"{self.prefix}/repositories/1{path.removeprefix(f'/repos/{self.former}')}"
            headers = {"Location": f"http://{request.headers['host']}{moved}" + (f"?{urlencode(request.query)}" if request.query else "")}
            return Reply(301 if request.method == "GET" else 307, {"message": "Moved Permanently"}, headers)
        if path.lower().partition("?")[0] != f"/repos/{self.name}" and not path.startswith(f"/repos/{self.name}/"):
            return refused(404, "Not Found")
        rest = path.removeprefix(f"/repos/{self.name}")
        for method, pattern, permission, route in ROUTES:
            if method == request.method and (match := re.fullmatch(pattern, rest)):
                return self._forbidden(request, permission) or route(self, request, match)
        return refused(404, "Not Found")

    def _forbidden(self, request: Request, permission: str) -> Reply | None:
        assert request.token is not None
        if request.method != "GET" and self.archived:
            return refused(403, "Repository was archived so is read-only.")
        if permission and not any(one in request.token.writes for one in permission.split("|")):
            wanted = "; ".join(f"{one}=write" for one in permission.split("|"))
            return refused(403, "Resource not accessible by integration", X_Accepted_GitHub_Permissions=wanted)
        return None


def paged(request: Request, items: list[dict[str, Any]]) -> Reply:
    """One page of a list, with GitHub's Link header."""
    size, page = min(100, int(request.query.get("per_page", 30))), int(request.query.get("page", 1))
    last = max(1, -(-len(items) // size))
    address = f"http://{request.headers['host']}{request.target.partition('?')[0]}"
    near = {"prev": page - 1, "next": page + 1, "last": last}
    links = [f'<{address}?{urlencode({**request.query, "page": to})}>; rel="{name}"' for name, to in near.items() if 1 <= to <= last]
    return Reply(200, items[(page - 1) * size : page * size], {"Link": ", ".join(links)} if last > 1 else {})


def _lasting(items: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    state, backwards = query.get("state", "open"), query.get("direction", "desc") == "desc"
    key = "updated_at" if query.get("sort") == "updated" else "number"
    kept = [one for one in items if state in ("all", one["state"])]
    return sorted(kept, key=lambda one: (one[key], one["number"]), reverse=backwards)


def _get_repository(hub: GitHub, _request: Request, _: re.Match[str]) -> Reply:
    return Reply(200, hub.repository())


def _list_reviews(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    return paged(request, hub.pulls[int(match[1])].get("reviews", []))


def _list_pulls(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    head, base = request.query.get("head", "").partition(":")[2], request.query.get("base", "")
    found = [one for one in hub.all() if head in ("", one["head"]["ref"]) and base in ("", one["base"]["ref"])]
    return paged(request, _lasting(found, request.query))


def _get_pull(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    number = int(match[1])
    return Reply(200, hub.pull(number)) if number in hub.pulls else refused(404, "Not Found")


def _open_pull(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    body, heads = request.body, hub.bare.heads()
    assert request.token is not None
    if request.token.login == BOT and not hub.actions_may_open:
        return refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
    owner, _, head = body["head"].rpartition(":")
    base = body["base"]
    for field, ref in (("head", head), ("base", base)):
        if ref not in heads or owner not in ("", hub.name.partition("/")[0]):
            return invalid("PullRequest", field)
    if hub.merged(heads[base], heads[head]):
        return invalid("PullRequest", message=f"No commits between {base} and {head}")
    own = [one for one in hub.open() if one["head"]["repo"] and one["head"]["repo"]["id"] == 1]
    if any(one["head"]["ref"] == head and one["base"]["ref"] == base for one in own):
        return invalid("PullRequest", message=f"A pull request already exists for {hub.name.partition('/')[0]}:{head}.")
    if len(body.get("body") or "") > LIMIT:
        return invalid("Issue", "body", f"body is too long (maximum is {LIMIT} characters)")
    made = hub.branch_pull(request.token.login, head, base, body["title"], body.get("body"), body.get("draft", False))
    return Reply(201, made)


def _edit(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    number, body = int(match[1]), request.body
    if number not in hub.pulls and number not in hub.issues:
        return refused(404, "Not Found")
    if number in hub.issues and not hub.issues_on:
        return refused(410, "Issues are disabled for this repo")
    if len(body.get("body") or "") > LIMIT:
        return invalid("Issue", "body", f"body is too long (maximum is {LIMIT} characters)")
    if number in hub.pulls and body.get("state") == "open" and hub.pulls[number]["merged_at"]:
        return invalid("PullRequest", "state", "state cannot be changed. The pull request is merged.")
    thing = hub.thing(number)
    thing.update({key: value for key, value in body.items() if key in ("title", "body", "state", "state_reason")}, updated_at=now())
    return Reply(200, thing)


def _list_issues(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    creator = request.query.get("creator")
    if not hub.issues_on:
        return refused(410, "Issues are disabled for this repo")
    found = [*hub.issues.values(), *(one | {"pull_request": {"url": "x"}} for one in hub.pulls.values())]
    return paged(request, _lasting([one for one in found if creator in (None, one["user"]["login"])], request.query))


def _open_issue(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    assert request.token is not None
    if not hub.issues_on:
        return refused(410, "Issues are disabled for this repo")
    if len(request.body.get("body") or "") > LIMIT:
        return invalid("Issue", "body", f"body is too long (maximum is {LIMIT} characters)")
    return Reply(201, hub.add_issue(request.token.login, request.body["title"], request.body.get("body")))


def _list_comments(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    return paged(request, hub.comments.get(int(match[1]), []))


def _comment(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    assert request.token is not None
    number = int(match[1])
    if number not in hub.pulls and number not in hub.issues:
        return refused(404, "Not Found")
    return Reply(201, hub.add_comment(number, request.token.login, request.body["body"]))


def _get_label(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    name = next((one for one in hub.labels if one.lower() == unquote(match[1]).lower()), None)
    return Reply(200, {"name": name, "color": hub.labels[name]}) if name else refused(404, "Not Found")


def _make_label(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    name = request.body["name"]
    if name.lower() in map(str.lower, hub.labels):
        return refused(422, "Validation Failed", {"resource": "Label", "code": "already_exists", "field": "name"})
    hub.labels[name] = request.body.get("color", "ededed")
    return Reply(201, {"name": name, "color": hub.labels[name]})


def _set_labels(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    labels = hub.thing(int(match[1]))["labels"]
    for name in request.body["labels"]:
        hub.labels.setdefault(name, "ededed")
        if name not in [one["name"] for one in labels]:
            labels.append({"name": name})
    return Reply(200, labels)


def _assign(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    thing = hub.thing(int(match[1]))
    for login in request.body["assignees"]:
        if login in hub.people and login not in [one["login"] for one in thing["assignees"]]:
            thing["assignees"].append(hub.user(login))
    return Reply(201, thing)


def _ask_reviewers(hub: GitHub, request: Request, match: re.Match[str]) -> Reply:
    pull, body = hub.pull(int(match[1])), request.body
    users, teams = body.get("reviewers", []), body.get("team_reviewers", [])
    if pull["user"]["login"] in users:
        return refused(422, "Review cannot be requested from pull request author.")
    if not {*users} <= hub.people.keys() or not {*teams} <= hub.teams:
        which = "users or teams"
        return refused(
            422, f"Reviews may only be requested from collaborators. One or more of the {which} you specified is not a collaborator."
        )
    pull["requested_reviewers"] += [hub.user(one) for one in users if one not in [x["login"] for x in pull["requested_reviewers"]]]
    pull["requested_teams"] += [{"slug": one} for one in teams if one not in [x["slug"] for x in pull["requested_teams"]]]
    return Reply(201, pull)


def _upload(hub: GitHub, request: Request, _: re.Match[str]) -> Reply:
    with contextlib.suppress(OSError, ValueError, KeyError):
        log = json.loads(gzip.decompress(base64.b64decode(request.body["sarif"], validate=True)))
        if log["version"] == "2.1.0" and isinstance(log["runs"], list):
            made = str(uuid.uuid4())
            hub.sarifs[made] = log
            return Reply(202, {"id": made, "url": f"http://{request.headers['host']}{request.target}/{made}"})
    return refused(400, "rejecting SARIF, not gzip+base64 of a 2.1.0 log")


Route = Callable[[GitHub, Request, re.Match[str]], Reply]
_N = r"/(\d+)"
ROUTES: tuple[tuple[str, str, str, Route], ...] = (
    ("GET", "", "", _get_repository),
    ("GET", "/pulls", "", _list_pulls),
    ("POST", "/pulls", "pull_requests", _open_pull),
    ("GET", "/pulls" + _N, "", _get_pull),
    ("PATCH", "/pulls" + _N, "pull_requests", _edit),
    ("GET", "/pulls" + _N + "/reviews", "", _list_reviews),
    ("POST", "/pulls" + _N + "/requested_reviewers", "pull_requests", _ask_reviewers),
    ("GET", "/issues", "", _list_issues),
    ("POST", "/issues", "issues", _open_issue),
    ("PATCH", "/issues" + _N, "issues", _edit),
    ("GET", "/issues" + _N + "/comments", "", _list_comments),
    ("POST", "/issues" + _N + "/comments", "issues|pull_requests", _comment),
    ("POST", "/issues" + _N + "/labels", "issues|pull_requests", _set_labels),
    ("POST", "/issues" + _N + "/assignees", "issues|pull_requests", _assign),
    ("GET", "/labels/([^/]+)", "", _get_label),
    ("POST", "/labels", "issues|pull_requests", _make_label),
    ("POST", "/code-scanning/sarifs", "security_events", _upload),
)


@contextlib.contextmanager
def github_rig(
    folder: Path, files: Mapping[str, str], name: str = "octo/project", tls: ssl.SSLContext | None = None
) -> Generator[Rig[GitHub]]:
    """A GitHub (Enterprise's layout: API below ``/api/v3``) with one repository, whose first commit has the given files.

    Its tokens are that of the Actions' bot and that of a person, ``rig.token`` is the bot's.
    """
    bare = make_bare(folder / "forge" / f"{name}.git", files)
    with serve(Rig(GitHub(bare, name), bare, name), tls) as rig:
        yield rig
