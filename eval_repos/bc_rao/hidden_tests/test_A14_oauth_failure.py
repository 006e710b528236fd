"""A passing failure of Reddit's token endpoint does not lose the cycle."""

import contextlib

import httpx
import pytest


@pytest.mark.parametrize("failure", [503, httpx.ConnectError("connection refused")])
def test_token_is_asked_for_again(target, failure):
    first = target.monitored()
    second = target.monitored(reddit_post_id="def456")
    target.web.posts.update(abc123="visible", def456="visible")
    target.web.token_status = [failure]
    target.run_checks()
    assert (first["total_checks"], second["total_checks"]) == (1, 1)


def test_lasting_failure_ends(target):
    entry = target.monitored()
    target.web.posts["abc123"] = "visible"
    target.web.token_status = [503] * 200
    with contextlib.suppress(Exception):
        target.run_checks()
    asked = [r for r in target.web.requests if r.url.path == "/api/v1/access_token"]
    assert 1 <= len(asked) <= 30
    # nothing was learnt about the post
    assert entry["status"] == "Active"
    assert entry.get("last_check_status") is None
