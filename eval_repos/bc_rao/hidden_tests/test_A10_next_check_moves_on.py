"""A checked post is not due again before its interval has passed."""

from datetime import datetime, timedelta, timezone

from fake_supabase import comparable


def test_checked_post_is_not_due_at_once(target):
    entry = target.monitored(check_interval_hours=4)
    target.web.posts["abc123"] = "visible"
    assert target.run_checks() == 1
    assert entry["total_checks"] == 1
    assert comparable(entry["next_check_at"]) > datetime.now(timezone.utc) + timedelta(minutes=30)
    target.run_checks()
    assert entry["total_checks"] == 1


def test_post_is_checked_again_later(target):
    entry = target.monitored(check_interval_hours=4)
    target.web.posts["abc123"] = "visible"
    target.run_checks()
    entry["next_check_at"] = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat()
    target.run_checks()
    assert entry["total_checks"] == 2
    assert entry["status"] == "Active"
