"""Branches pushed over HTTP to a real git server: leases, lost answers, refusals, whose commits they are, no trace of the token."""

from __future__ import annotations

import base64
import logging
import os
import secrets
import shutil
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from forge_github import GitHub, github_rig
from forge_repository import ANN, BOT
from forge_rig import Rig, Token

from fixbot.agent import workspace as ws
from fixbot.agent.deliver import remote
from fixbot.agent.deliver.forge import Remote
from fixbot.agent.deliver.github import GitHub as Hub
from fixbot.agent.deliver.github import open_github
from fixbot.agent.deliver.http import Manners
from fixbot.agent.deliver.tokens import basic, forms, token
from fixbot.agent.errors import ForgeError, UsageError
from fixbot.agent.workspace import Workspace

AGAIN = (0.0, 0.0)  # seconds before the attempts that follow
B = "fixbot/one"
PUSH = r"POST .*/git-receive-pack"


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[GitHub]]:
    with github_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        yield rig


def clone(rig: Rig[GitHub], folder: Path, *flags: str) -> Workspace:
    subprocess.run(["git", "clone", "-q", *flags, f"file://{rig.bare.path}", str(folder / "user")], check=True)
    return ws.open_workspace(folder / "user", folder / "state", "r1")


@pytest.fixture
def space(rig: Rig[GitHub], tmp_path: Path) -> Workspace:
    return clone(rig, tmp_path)


def there(rig: Rig[GitHub], secret: str = "") -> Remote:
    return Remote(rig.clone_url, basic("x-access-token", token(secret or rig.token)))


def trailers(base: str) -> str:
    return f"fix: x\n\nbecause\n\nFixbot-Run: r1\nFixbot-Base: {base}\n"


def fix(space: Workspace, text: str = "x = 2\n", parent: str = "", base: str = "") -> str:
    return ws.commit(space, B, {"a.py": text.encode()}, trailers(base or space.base), parent or space.base)


def refused(call: Callable[[], object]) -> ForgeError:
    with pytest.raises(ForgeError) as caught:
        call()
    assert not isinstance(caught.value, remote.Moved)
    assert caught.value.cure
    return caught.value


def test_push_fetch_list_delete(rig: Rig[GitHub], space: Workspace) -> None:
    to, first = there(rig), fix(space)
    assert remote.heads(space, to) == rig.bare.heads() == {"main": space.base}
    remote.push(space, to, B, first, None)
    assert rig.bare.heads()[B] == first
    assert remote.heads(space, to, "fixbot/") == {B: first}
    remote.push(space, to, B, first, None)  # is there already
    second = fix(space, "x = 3\n", first)
    remote.push(space, to, B, second, first)
    other = fix(space, "x = 4\n")
    remote.push(space, to, B, other, second)  # written anew, not on top
    assert rig.bare.heads() == {"main": space.base, B: other}
    assert remote.fetch(space, to, B) == other
    remote.delete(space, to, B, other)
    assert rig.bare.heads() == {"main": space.base}
    remote.delete(space, to, B, other)  # is gone already


def test_a_branch_that_somebody_changed_is_left_alone(rig: Rig[GitHub], space: Workspace) -> None:
    to, first = there(rig), fix(space)
    remote.push(space, to, B, first, None)
    theirs = rig.bare.commit(B, {"b.py": "1\n"})
    second = fix(space, "x = 3\n", first)
    for expect in (first, None, second):
        with pytest.raises(remote.Moved, match=f"it is at {theirs[:12]} now") as caught:
            remote.push(space, to, B, second, expect)
        assert caught.value.found == theirs
    with pytest.raises(remote.Moved):
        remote.delete(space, to, B, first)
    assert rig.bare.heads()[B] == theirs
    rig.bare.git("update-ref", "-d", f"refs/heads/{B}")
    with pytest.raises(remote.Moved, match="it is gone") as caught:
        remote.push(space, to, B, second, theirs)
    assert caught.value.found is None
    assert B not in rig.bare.heads()


FAULTS: dict[str, dict[str, Any]] = {
    "cut before": {"cut": "before"},
    "cut after": {"cut": "after"},
    "cut in the answer": {"cut": "middle"},
    "502 after acting": {"status": 502, "acts": True},
    "503, 503": {"status": 503, "times": 2},
    "429": {"status": 429},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_push_whose_answer_is_lost_is_looked_up(rig: Rig[GitHub], space: Workspace, name: str) -> None:
    to, first = there(rig), fix(space)
    rig.fail(PUSH, **FAULTS[name])
    remote.push(space, to, B, first, None, AGAIN)
    assert rig.bare.heads()[B] == first
    assert rig.faults[0].times == 0
    acted = name in ("cut after", "cut in the answer", "502 after acting")
    assert len(rig.sent(PUSH)) <= (2 if acted else 1 + FAULTS[name].get("times", 1))  # curl itself repeats it on a connection that was cut
    rig.fail(PUSH, **FAULTS[name])
    remote.delete(space, to, B, first, AGAIN)
    assert B not in rig.bare.heads()


def test_a_lost_answer_and_somebodys_push_in_between(rig: Rig[GitHub], space: Workspace) -> None:
    to, first = there(rig), fix(space)
    rig.fail(PUSH, status=503)
    seen: list[str] = []
    answer = rig.answer

    def meanwhile(request: Any) -> Any:
        if request.query.get("service") == "git-upload-pack" and not seen:
            seen.append(rig.bare.commit(B, {"b.py": "1\n"}))
        return answer(request)

    rig.answer = meanwhile
    with pytest.raises(remote.Moved) as caught:
        remote.push(space, to, B, first, None, AGAIN)
    assert caught.value.found == rig.bare.heads()[B] == seen[0]


def test_a_server_that_stays_away(rig: Rig[GitHub], space: Workspace) -> None:
    to, first = there(rig), fix(space)
    rig.fail(PUSH, status=503, times=9)
    error = refused(lambda: remote.push(space, to, B, first, None, AGAIN))
    assert "503" in error.message
    assert "try again later" in error.cure
    assert len(rig.sent(PUSH)) == 3
    rig.fail(r"GET .*info/refs", status=500, times=9)
    error = refused(lambda: remote.heads(space, to, waits=AGAIN))
    assert "500" in error.message
    error = refused(lambda: remote.push(space, to, B, first, None, (0.0,)))
    assert "whether branch fixbot/one was pushed is not known" in error.message
    gone = Remote("http://127.0.0.1:9/x/y.git", to.header)
    assert "connect" in refused(lambda: remote.fetch(space, gone, B, ())).message
    assert B not in rig.bare.heads()


def test_reads_are_repeated(rig: Rig[GitHub], space: Workspace) -> None:
    rig.fail(r"GET .*info/refs", status=502)
    rig.fail(r"POST .*git-upload-pack", cut="middle")
    assert remote.heads(space, there(rig), waits=AGAIN) == rig.bare.heads()
    assert remote.fetch(space, there(rig), "main", AGAIN) == space.base


REASONS = [
    ("echo 'no fixes on a Friday' >&2; exit 1", "pre-receive hook declined; no fixes on a Friday", "a hook of the forge refused it"),
    ("printf 'error: GH006: Protected branch update failed\\n' >&2; exit 1", "GH006", "branch protection or ruleset"),
    (
        "echo 'refusing to allow a GitHub App to update workflow `.github/workflows/x.yml` without `workflows` permission' >&2; exit 1",
        "without `workflows` permission",
        "`workflows: write`",
    ),
    ("printf '\\033[31mred\\033[0m \\033]8;;http://x\\007 \\342\\200\\256\\n' >&2; exit 1", r"\x1b[31mred", "a hook"),
    ("head -c 200000 /dev/zero | tr '\\0' y >&2; exit 1", "pre-receive hook declined", "a hook"),
]


@pytest.mark.parametrize(("script", "words", "cure"), REASONS)
def test_what_the_forge_says_about_a_refusal(rig: Rig[GitHub], space: Workspace, script: str, words: str, cure: str) -> None:
    rig.hook(script)
    error = refused(lambda: remote.push(space, there(rig), B, fix(space), None, AGAIN))
    assert error.message.startswith("branch fixbot/one could not be pushed: ")
    assert words in error.message
    assert error.message.isprintable()
    assert len(error.message) < 400
    assert cure in error.cure
    assert len(rig.sent(PUSH)) == 1
    assert B not in rig.bare.heads()


def test_missing_rights_and_wrong_addresses(rig: Rig[GitHub], space: Workspace) -> None:
    first = fix(space)
    rig.forge.tokens["read-only"] = Token("ann", frozenset())
    error = refused(lambda: remote.push(space, there(rig, "read-only"), B, first, None))
    assert "403" in error.message
    assert "`contents: write`" in error.cure
    error = refused(lambda: remote.push(space, there(rig, "expired"), B, first, None))
    assert "valid and has not expired" in error.cure
    nowhere = Remote(rig.clone_url.replace("project", "projects"), there(rig).header)
    error = refused(lambda: remote.heads(space, nowhere))
    assert "a private one is not found" in error.cure
    assert "gone from the forge" in refused(lambda: remote.fetch(space, there(rig), "fixbot/none")).cure
    rig.bare.commit("fixbot", {"b.py": "1\n"})
    error = refused(lambda: remote.push(space, there(rig), B, first, None))
    assert "name of a folder" in error.cure
    for address in ("file:///etc", "ssh://git@host/x", "https://user:word@host/x.git", "ext::sh -c x", "-x", "http://host.example/x.git"):
        error = refused(lambda address=address: remote.heads(space, Remote(address, there(rig).header)))
        assert "git cannot use the forge's address" in error.message
        assert "word" not in str(error)
    for name in ("-x", "a..b", "a b", "x.lock", "", "a\nb", "refs/heads/\x00"):
        with pytest.raises(UsageError):
            remote.push(space, there(rig), name, first, None)
    with pytest.raises(ValueError, match="not the full ids"):
        remote.push(space, there(rig), B, "HEAD:refs/heads/main ", None)


def test_redirects_are_not_followed(rig: Rig[GitHub], space: Workspace, tmp_path: Path) -> None:
    with github_rig(tmp_path / "other", {"a.py": ""}) as other:
        rig.fail(r"GET .*info/refs", status=301, headers={"Location": f"{other.clone_url}/info/refs?service=git-upload-pack"})
        error = refused(lambda: remote.heads(space, there(rig)))
        assert "renamed or moved" in error.cure
        assert other.asked == []


def test_a_shallow_clone_can_push_and_fetch(rig: Rig[GitHub], tmp_path: Path) -> None:
    for number in range(3):
        rig.bare.commit("main", {"a.py": f"x = {number}\n"})
    before = rig.bare.heads()["main"]
    theirs = rig.bare.commit(B, {"b.py": "1\n"}, trailers(before), author=BOT)
    rig.bare.commit("main", {"c.py": "1\n"})
    space = clone(rig, tmp_path, "--depth=1")
    assert remote.fetch(space, there(rig), B) == theirs
    assert remote.is_ours(space, theirs)  # made on a base that the clone did not have
    first = fix(space)
    remote.push(space, there(rig), B, first, theirs)
    assert rig.bare.heads()[B] == first


def test_a_fetch_leaves_the_rest_of_the_clone_alone(rig: Rig[GitHub], space: Workspace) -> None:
    theirs = rig.bare.commit(B, {"a.py": "x = 9\n"})
    rig.bare.git("tag", "v1", theirs)
    config = (space.root / ".git" / "config").read_bytes()
    head = (space.root / ".git" / "HEAD").read_bytes()
    remote.fetch(space, there(rig), B)
    rig.bare.git("update-ref", f"refs/heads/{B}", space.base)
    assert remote.fetch(space, there(rig), B) == space.base  # also backwards
    listed = subprocess.run(["git", "-C", space.root, "for-each-ref", "--format=%(refname)"], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == [f"refs/fixbot/remote/{B}"]
    assert (space.root / ".git" / "config").read_bytes() == config
    assert (space.root / ".git" / "HEAD").read_bytes() == head
    assert (space.root / "a.py").read_text() == "x = 1\n"
    assert not (space.root / ".git" / "FETCH_HEAD").exists()


def test_whose_commits_they_are(rig: Rig[GitHub], space: Workspace) -> None:
    base = space.base
    mine = fix(space)
    second = fix(space, "x = 3\n", mine)
    assert remote.is_ours(space, mine)
    assert remote.is_ours(space, second)
    assert not remote.is_ours(space, base)
    bare = rig.bare
    remote.push(space, there(rig), B, second, None)
    files, good = {"b.py": "1\n"}, trailers(base)
    main = bare.commit("main", {"m.py": "1\n"})
    cases = {
        "amended": bare.commit("t1", files, good, parents=(mine,), author=BOT, committer=ANN),
        "added": bare.commit("t2", files, "more", parents=(second,)),
        "forged author": bare.commit("t3", files, good, parents=(second,), author=BOT, committer=("fixbot", "a@b.example")),
        "applied for somebody": bare.commit("t0", files, good, parents=(second,), author=ANN, committer=BOT),
        "forged name": bare.commit("t4", files, good, parents=(second,), author=("fixbot", "fixbot@users.noreply.example")),
        "forged subject": bare.commit("t5", files, f"Fixbot-Run: r1\nFixbot-Base: {base}\n\nand\n\nmore", parents=(second,), author=BOT),
        "no run": bare.commit("t6", files, f"x\n\nFixbot-Base: {base}\n", parents=(second,), author=BOT),
        "no base": bare.commit("t7", files, "x\n\nFixbot-Run: r1\n", parents=(second,), author=BOT),
        "two bases": bare.commit("t8", files, f"{good}Fixbot-Base: {mine}\n", parents=(second,), author=BOT),
        "other base": bare.commit("t9", files, trailers(mine), parents=(second,), author=BOT),
        "base that is not below": bare.commit("t10", files, trailers(main), parents=(base,), author=BOT),
        "short base": bare.commit("t11", files, trailers(base[:12]), parents=(base,), author=BOT),
        "merge": bare.commit("t12", files, good, parents=(second, main), author=BOT),
        "root": bare.commit("t13", files, good, parents=(), author=BOT),
        "on somebody's": bare.commit("t14", files, good, parents=(bare.commit("t15", files, good, parents=(mine,)),), author=BOT),
    }
    subprocess.run(["git", "-C", space.root, "fetch", "-q", bare.path, "+refs/heads/*:refs/t/*"], check=True)
    assert [name for name, commit in cases.items() if remote.is_ours(space, commit)] == []
    ours = bare.commit("t16", files, trailers(second), parents=(second,), author=BOT)
    subprocess.run(["git", "-C", space.root, "fetch", "-q", bare.path, "+refs/heads/*:refs/t/*"], check=True)
    assert remote.is_ours(space, ours)  # a branch on top of another of ours is of its own


def spy(found: dict[str, set[str]], stop: threading.Event, shapes: tuple[str, ...]) -> None:
    """Look for a token in the arguments and environments of all processes."""
    while not stop.is_set():
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                for part in ("cmdline", "environ"):
                    try:
                        text = (folder / part).read_bytes().decode("latin-1")
                        name = (folder / "comm").read_text().strip()
                    except OSError:
                        continue
                    if any(shape in text for shape in shapes):
                        found[part].add(name)
        time.sleep(0.01)


def test_the_token_leaves_no_trace(
    rig: Rig[GitHub], space: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("GIT_TRACE", "GIT_CURL_VERBOSE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE2", "GIT_TRACE_SETUP"):
        monkeypatch.setenv(name, str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'http.proxy'='http://127.0.0.1:9'")
    rig.token = f"ghs_{secrets.token_hex(18)}"  # no other process of this machine has it
    rig.forge.tokens[rig.token] = Token("octo")
    to, first = there(rig), fix(space)
    shapes = (*forms(rig.token), base64.b64encode(rig.token.encode()).decode())
    found: dict[str, set[str]] = {"cmdline": set(), "environ": set()}
    stop = threading.Event()
    thread = threading.Thread(target=spy, args=(found, stop, shapes))
    thread.start()
    rig.fail(PUSH, delay=0.4)
    try:
        remote.push(space, to, B, first, None)
    finally:
        stop.set()
        thread.join()
    assert found["cmdline"] == set()
    assert {"git", "git-remote-http"} <= found["environ"] <= {"git", "git-remote-http", "env"}  # where it has to be
    rig.hook(f"echo 'your token is {rig.token}, {to.header}' >&2; exit 1")
    error = refused(lambda: remote.push(space, to, B, fix(space, "x = 5\n"), first))
    assert "your token is ***, Basic ***" in error.message
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(to) + caplog.text
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(rig.bare.path))
    assert not (tmp_path / "trace").exists()
    for shape in shapes:
        assert shape not in shown
        assert shape.encode() not in kept


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for loopback that no authority has signed, and what a server does with it."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", "req", "-x509", *kind, "-keyout", key, "-out", made, *name], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return made, context


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_https_with_an_authority_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"):
        monkeypatch.delenv(name, raising=False)
    made, context = certificate(tmp_path)
    with github_rig(tmp_path, {"a.py": "x = 1\n"}, tls=context) as rig:
        space = clone(rig, tmp_path)

        def forge(**more: Any) -> Hub:
            manners = Manners(gap=0, backoff=(), **more)
            return open_github(rig.name, rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=manners)

        for call in (lambda: forge().project(), lambda: remote.heads(space, there(rig), waits=())):
            error = refused(call)
            assert "certificate" in error.message
            assert "SSL_CERT_FILE" in error.cure
        assert rig.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        first = fix(space)
        remote.push(space, forge().remote(), B, first, None)
        assert forge().open_pull(B, "main", "fix", "", draft=False).head == first
        rig.fail("GET .*", delay=5)
        assert "no complete answer within" in refused(lambda: forge(seconds=0.3).project()).message
