"""The GitHub client against a stateful emulator of GitHub that others wrote, every request held against GitHub's own description.

npm install --ignore-scripts emulate@0.11.2 @octokit/openapi@23.0.2
FIXBOT_GITHUB_EMULATOR=node_modules/emulate/dist/index.js
FIXBOT_GITHUB_OPENAPI=node_modules/@octokit/openapi/generated/api.github.com.json
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from forge_contract import contract
from forge_repository import Bare
from forge_rig import Reply, Request, Rig, Token, serve

from fixbot.agent.deliver.forge import Forge, People, State
from fixbot.agent.deliver.github import open_github
from fixbot.agent.deliver.http import Manners

EMULATOR, NODE = os.environ.get("FIXBOT_GITHUB_EMULATOR", ""), shutil.which("node")
WANTED = EMULATOR and NODE and os.environ.get("FIXBOT_GITHUB_OPENAPI")
pytestmark = pytest.mark.skipif(not WANTED, reason="needs node, FIXBOT_GITHUB_EMULATOR and FIXBOT_GITHUB_OPENAPI")

SECRET, NAME = "tok-admin", "octo/r"
SEED = """\
tokens: {tok-admin: {login: octo, scopes: [repo, user, workflow]}}
github:
  users: [{login: octo, name: Octo, email: octo@example.com}, {login: ann, name: Ann, email: ann@example.com}]
  repos: [{owner: octo, name: r, language: Python, auto_init: true}]
"""
MARK, B = "<!-- fixbot:test -->", "fixbot/one"


class Emulator:
    """What the proxy forwards to. Every request is checked against the description by the rig."""

    prefix, checked = "", True

    def __init__(self, port: int) -> None:
        self.port = port
        self.tokens = {SECRET: Token("octo")}

    def handle(self, request: Request) -> Reply:
        """Forward a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        left_out = ("host", "connection", "content-length", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name not in left_out}
        connection.request(request.method, request.target, request.raw or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("link", "content-type", "location")}
        return Reply(answer.status, data, kept)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request past the proxy."""

        raw = json.dumps(body or {}).encode() if body is not None else b""
        headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json", "user-agent": "test"}
        reply = self.handle(Request(method, path, {}, headers, raw, None, path))
        assert reply.status < 300, reply
        return json.loads(reply.body)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[Emulator]]:
    (tmp_path / "seed.yaml").write_text(SEED)
    port = free_port()
    with serve(Rig(Emulator(port), Bare(tmp_path), NAME)) as rig:
        command = [str(NODE), EMULATOR, "start", "--service", "github", "--port", str(port), "--base-url", rig.server]
        log = (tmp_path / "log").open("w")
        process = subprocess.Popen([*command, "--seed", "seed.yaml"], cwd=tmp_path, stdout=log, stderr=log)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield rig
        finally:
            process.terminate()
            process.wait()
            log.close()


def test_github_by_its_own_description(rig: Rig[Emulator]) -> None:
    hub, repository = rig.forge, f"/repos/{NAME}"
    manners = Manners(gap=0, backoff=(0,))
    forge: Forge = open_github(NAME, SECRET, "fixbot/0", api=rig.api, server=rig.server, manners=manners)
    project = forge.project()
    assert (project.default_branch, project.archived) == ("main", False)
    main = hub.send("GET", f"{repository}/git/ref/heads/main")["object"]["sha"]
    hub.send("POST", f"{repository}/git/refs", {"ref": f"refs/heads/{B}", "sha": main})
    hub.send("PUT", f"{repository}/contents/a.py", {"message": "fix", "content": "eCA9IDIK", "branch": B})
    pull = forge.open_pull(B, "main", "fix: one", "because", draft=True)
    assert (pull.branch, pull.base, pull.state, pull.draft) == (B, "main", State.OPEN, True)
    assert forge.open_pull(B, "main", "fix: one", "because", draft=True).number == pull.number
    forge.edit_pull(pull.number, title="fix: two", body="more")
    forge.comment(pull.number, "once", MARK)
    forge.comment(pull.number, "once", MARK)
    assert [(one.ours, one.body) for one in forge.comments(pull.number)] == [(True, f"{MARK}\nonce")]
    told = forge.invite(pull.number, People(("fixbot",), ("ann",), ("octo",)))
    assert not any("label" in one for one in told)
    (found,) = forge.pulls("fixbot/")
    assert (found.title, found.body, found.labels) == ("fix: two", "more", ("fixbot",))
    assert forge.dashboard(MARK) is None
    made = forge.save_dashboard(None, "Dashboard", "text", MARK)
    assert forge.dashboard(MARK) == made
    assert forge.save_dashboard(made, "Dashboard", "new", MARK).body == f"{MARK}\nnew"
    rig.fail("POST .*/sarifs$", status=202, body={"id": "6c81cd8e-b078-4ac3-a3be-1dad7dbd0b53"})  # the emulator has no code scanning
    assert forge.upload_sarif({"version": "2.1.0", "runs": []}, main, "refs/heads/main").endswith("6c81cd8e-b078-4ac3-a3be-1dad7dbd0b53")
    rig.fail("POST .*/comments$", cut="after")
    forge.comment(pull.number, "lost", "<!-- lost -->")
    assert len(forge.comments(pull.number)) == 2
    forge.edit_pull(pull.number, close=True)
    assert [one.state for one in forge.pulls("fixbot/")] == [State.CLOSED]


@pytest.mark.parametrize(
    ("method", "path", "body", "broken"),
    [
        ("POST", f"/repos/{NAME}/pulls", b'{"title": "x", "head": "y", "base": "main"}', ""),
        ("POST", f"/repos/{NAME}/pulls", b'{"title": "x", "head": "y"}', "'base' is a required property"),
        ("POST", f"/repos/{NAME}/labels", b'{"name": 1}', "1 is not of type"),
        ("PATCH", f"/repos/{NAME}/issues/1", b'{"state": "shut"}', "'shut' is not one of"),
        ("POST", f"/repos/{NAME}/pull", b"{}", "PathNotFound"),
        ("PUT", f"/repos/{NAME}/pulls/1", b"{}", "OperationNotFound"),
    ],
)
def test_the_description_is_held_against_requests(method: str, path: str, body: bytes, broken: str) -> None:
    checks = contract()
    assert checks is not None
    headers = {"user-agent": "x", "x-github-api-version": "2022-11-28"}
    found = checks.check(Request(method, path, {}, headers, body, None, path))
    assert broken in found
    assert bool(found) == bool(broken)
    assert checks.check(Request("GET", "/user", {}, {"user-agent": "x"}, b"", None, "/user")) == "no X-GitHub-Api-Version"
