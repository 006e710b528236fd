"""The forges' HTTP client: what it waits for and how long, whom it follows, how much it takes, and what it never shows."""

from __future__ import annotations

import base64
import gzip
import logging
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from forge_github import GitHub as Hub
from forge_github import github_rig
from forge_rig import Rig

from fixbot.agent.deliver.github import GitHub, open_github
from fixbot.agent.deliver.http import Manners, Unsure
from fixbot.agent.deliver.tokens import forms, mask, told
from fixbot.agent.errors import ForgeError

NOW = 1_800_000_000.0  # 08:00 UTC


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list[float])

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def manners(self, **more: Any) -> Manners:
        return replace(Manners(gap=0), sleep=self.sleep, clock=lambda: self.time, now=lambda: NOW + self.time, **more)


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[Hub]]:
    with github_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        rig.forge.open_as("ann", "first", "")
        yield rig


def client(rig: Rig[Hub], manners: Manners | None = None, api: str = "") -> GitHub:
    return open_github(rig.name, rig.token, "fixbot/0", api=api or rig.api, manners=manners or Manners(gap=0, backoff=(0, 0)))


PRIMARY = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 30)}
LIMITS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "primary": ({"status": 403, "headers": PRIMARY, "body": {"message": "API rate limit exceeded for installation."}}, [31]),
    "primary in the past": ({"status": 429, "headers": {**PRIMARY, "X-RateLimit-Reset": "1"}}, [1]),
    "GitLab's": ({"status": 429, "headers": {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(NOW) + 5)}}, [6]),
    "retry-after": ({"status": 403, "headers": {"Retry-After": "7"}, "body": {"message": "secondary rate limit"}}, [7]),
    "retry-after on a date": ({"status": 429, "headers": {"Retry-After": "Fri, 15 Jan 2027 08:00:20 GMT"}}, [20]),
    "secondary without a time": ({"status": 403, "times": 2, "body": {"message": "You have exceeded a secondary rate limit."}}, [60, 120]),
    "too many without a word": ({"status": 429, "body": b""}, [60]),
    "a time that is none": ({"status": 429, "headers": {"Retry-After": "\u00b2soon"}, "body": b""}, [60]),
    "abuse": ({"status": 403, "body": {"message": "You have triggered an abuse detection mechanism."}}, [60]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_waited_for_and_the_write_is_made_once(rig: Rig[Hub], name: str) -> None:
    fault, slept = LIMITS[name]
    rig.fail(r"POST .*/comments$", **fault)
    clock = Clock()
    client(rig, clock.manners()).comment(1, "text", "<!-- m -->")
    assert clock.slept == slept
    assert len(rig.forge.comments[1]) == 1


@pytest.mark.parametrize(
    ("fault", "words", "resume"),
    [
        ({"status": 403, "headers": {**PRIMARY, "X-RateLimit-Reset": str(int(NOW) + 3540)}}, "wait 3541 s", "08:59 UTC"),
        ({"status": 429, "headers": {"Retry-After": "99999999999999999999999"}}, "longer than it may", "UTC"),
        ({"status": 403, "times": 9, "body": {"message": "secondary rate limit"}}, "wait 240 s", "08:07 UTC"),
    ],
)
def test_a_wait_that_is_too_long_says_when_to_come_back(rig: Rig[Hub], fault: dict[str, Any], words: str, resume: str) -> None:
    rig.fail(r"POST .*/comments$", **fault)
    with pytest.raises(ForgeError, match=words) as caught:
        client(rig, Clock().manners()).comment(1, "text", "<!-- m -->")
    assert f"resume at {resume}" in caught.value.cure or resume == "UTC"
    assert rig.forge.comments == {}


def test_writes_keep_their_distance_and_reads_need_none(rig: Rig[Hub]) -> None:
    clock = Clock()
    forge = client(rig, clock.manners(gap=1.0))
    for number in range(3):
        forge.comment(1, "text", f"<!-- {number} -->")
        clock.time += 0.25
    assert clock.slept == [0.75, 0.75]
    assert len(rig.sent("GET .*/comments")) == 3


def test_reads_are_repeated_after_errors_and_then_given_up(rig: Rig[Hub]) -> None:
    rig.fail("GET .*", status=503)
    rig.fail("GET .*", cut="before")
    clock = Clock()
    assert client(rig, clock.manners()).project().default_branch == "main"
    assert clock.slept == [1, 4]
    rig.fail("GET .*", status=500, times=9)
    with pytest.raises(ForgeError, match=r"the server had an error \(500\)"):
        client(rig, Clock().manners()).project()


def test_the_time_for_all_requests_is_limited(rig: Rig[Hub]) -> None:
    rig.fail("GET .*", status=503, times=9)
    with pytest.raises(ForgeError, match="after an error fixbot would have to wait 4 s, longer than it may"):
        client(rig, Clock().manners(seconds=4.0)).project()
    clock = Clock()
    forge = client(rig, clock.manners(seconds=30.0))
    rig.faults.clear()
    clock.time += 1000  # what happens between the requests does not count
    forge.project()
    slow = client(rig, Manners(gap=0, seconds=0.3, backoff=()))
    rig.fail("GET .*", delay=5)
    with pytest.raises(ForgeError, match=r"GET /repos/octo/project: no complete answer within 0\.\d s"):
        slow.project()


def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    with github_rig(tmp_path, {"a.py": ""}) as rig:
        pass
    with pytest.raises(ForgeError, match="GET /repos/octo/project: ") as caught:
        client(rig).project()
    assert "cannot be reached" in caught.value.cure
    with pytest.raises(ForgeError, match="Connection refused"):  # nothing was sent: a write may be tried again
        client(rig).client.write("POST", "/x", {})


@pytest.mark.parametrize("kind", ["redirect", "link", "scheme", "credentials", "nonsense"])
def test_another_host_is_never_followed(rig: Rig[Hub], tmp_path: Path, kind: str) -> None:
    with github_rig(tmp_path / "other", {"a.py": ""}) as other:
        there = {
            "scheme": f"https{rig.api.removeprefix('http')}/x",
            "credentials": f"{rig.api.replace('//', '//a:b@')}/x",
            "nonsense": "http://[:::/",
        }.get(kind, f"{other.api}/x")
        if kind == "link":
            rig.fail("GET .*", status=200, body=[], headers={"Link": f'<{there}>; rel="next"'})
        else:
            rig.fail("GET .*", status=301, headers={"Location": there})
        with pytest.raises(ForgeError, match="points to another address") as caught:
            list(client(rig).client.pages("/repos/octo/project/issues", 5))
        assert "the address that the forge uses for itself" in caught.value.cure
        assert other.asked == []


def test_the_same_host_is_followed_and_not_for_ever(rig: Rig[Hub]) -> None:
    rig.fail("GET .*/x$", status=302, headers={"Location": f"{rig.forge.prefix}/repos/octo/project"})
    assert client(rig).client.get("/repos/octo/x")["full_name"] == "octo/project"
    rig.fail("GET .*/y$", status=302, times=99, headers={"Location": f"{rig.forge.prefix}/repos/octo/y"})
    with pytest.raises(ForgeError, match="to no end"):
        client(rig).client.get("/repos/octo/y")


BODIES: dict[str, tuple[bytes, dict[str, str], str]] = {
    "a login page": (b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"}, "is not JSON"),
    "half of a JSON text": (b'{"full_name": "octo/pro', {}, "is not JSON"),
    "deep JSON": (b"[" * 200_000, {}, "is not JSON"),
    "a number too long": (b"9" * 5000, {}, "is not JSON"),
    "a large answer": (b" " * (33 << 20), {}, "larger than 32 MiB"),
    "a bomb": (gzip.compress(bytes(40 << 20), 1), {"Content-Encoding": "gzip"}, "larger than 32 MiB"),
    "damaged compression": (b"\x1f\x8bnot gzip", {"Content-Encoding": "gzip"}, "GET /repos/octo/project: "),
    "no repository": (b"[]", {}, "sent no repository"),
    "nulls": (b'{"full_name": null}', {}, "sent no repository"),
    "nothing": (b"", {}, "sent no repository"),
}


@pytest.mark.parametrize("name", BODIES)
def test_answers_that_are_none(rig: Rig[Hub], name: str) -> None:
    body, headers, words = BODIES[name]
    rig.fail("GET .*", status=200, body=body, headers=headers, times=9)
    with pytest.raises(ForgeError, match=words) as caught:
        client(rig).project()
    assert caught.value.cure


def test_lists_that_are_none(rig: Rig[Hub]) -> None:
    rig.fail("GET .*/pulls", status=200, body={"message": "hello"})
    with pytest.raises(ForgeError, match="sent no list"):
        client(rig).pulls("fixbot/")
    junk: list[object] = [
        None,
        1,
        "x",
        {},
        {"number": "1", "head": [], "base": None},
        {"head": {"repo": {"id": 1}}, "base": {"repo": {"id": 1}}},
    ]
    rig.fail("GET .*/pulls", status=200, body=junk)
    (one,) = client(rig).pulls("")
    assert (one.number, one.branch, one.body, one.labels) == (0, "", "", ())


@pytest.mark.parametrize("api", ["ftp://x/y", "http://api.example.com", "https://user:word@api.example.com", "https://x/y?z", ""])
def test_addresses_that_no_token_is_sent_to(rig: Rig[Hub], api: str) -> None:
    with pytest.raises(ForgeError, match="address of the forge's API cannot be used") as caught:
        open_github(rig.name, rig.token, "fixbot/0", api=api)
    assert "word" not in str(caught.value)


def leaks(rig: Rig[Hub], act: Callable[[GitHub], object]) -> str:
    """All that an exception shows, with what it hangs on."""
    with pytest.raises(ForgeError) as caught:
        act(client(rig))
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))


def test_the_token_is_in_no_message_log_or_representation(rig: Rig[Hub], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = rig.token
    echoes = [secret, *forms(secret), f"https://x-access-token:{secret}@github.com", f"Bearer {secret}"]
    shown = ""
    for text in echoes:
        rig.fail(r"POST .*/comments$", status=422, body={"message": text, "errors": [{"message": text}]})
        shown += leaks(rig, lambda forge: forge.comment(1, "x", "<!-- m -->"))
    rig.fail("GET .*", status=301, headers={"Location": f"https://evil.example/{secret}"})
    shown += leaks(rig, lambda forge: forge.project())
    rig.fail("GET .*", status=200, body=secret.encode())
    shown += leaks(rig, lambda forge: forge.project())
    rig.fail("GET .*", cut="before", times=3)
    shown += leaks(rig, lambda forge: forge.project())
    forge = client(rig)
    shown += repr(forge) + repr(forge.client) + repr(forge.remote()) + caplog.text
    assert "GET /repos/octo/project" in caplog.text
    assert "***" in shown
    for form in forms(secret):
        assert form not in shown


def test_masking() -> None:
    secret = "gh/p+token=12345"
    for user in ("x-access-token", "oauth2"):
        encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
        assert mask(f"Basic {encoded}; {secret}; gh%2Fp%2Btoken%3D12345", forms(secret)).startswith("Basic ***")
        assert "12345" not in mask(f"{secret} gh%2Fp%2Btoken%3D12345", forms(secret))
    assert told("left \x1b]8;;alone\x07\u202e", forms(secret)) == r"left \x1b]8;;alone\x07\u202e"
    assert mask("nothing to hide", forms(secret)) == "nothing to hide"


def test_a_write_that_may_have_been_made_says_so(rig: Rig[Hub]) -> None:
    rig.fail("POST .*", cut="after")
    with pytest.raises(Unsure):
        client(rig).client.write("POST", "/repos/octo/project/issues/1/comments", {"body": "x"})
    assert len(rig.forge.comments[1]) == 1
