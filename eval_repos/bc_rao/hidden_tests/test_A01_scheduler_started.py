"""The periodic monitoring runs while the application runs."""

import time


def test_due_post_is_checked_while_the_app_runs(target):
    entry = target.monitored()
    target.web.posts["abc123"] = "visible"
    with target.client() as client:
        assert client.get("/health").status_code == 200
        deadline = time.monotonic() + 4
        while entry["total_checks"] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert entry["total_checks"] >= 1
    assert entry["last_check_status"] == "visible"


def test_app_shuts_down_with_the_scheduler(target):
    started = time.monotonic()
    with target.client() as client:
        assert client.get("/health").status_code == 200
    assert time.monotonic() - started < 20
