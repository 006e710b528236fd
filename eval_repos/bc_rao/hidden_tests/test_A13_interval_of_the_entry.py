"""The next check follows after the interval of the post itself."""

from datetime import datetime, timedelta, timezone

import pytest
from fake_supabase import comparable


@pytest.mark.parametrize("hours", [1, 4, 24])
def test_next_check_follows_the_interval(target, hours):
    entry = target.monitored(check_interval_hours=hours)
    target.web.posts["abc123"] = "visible"
    before = datetime.now(timezone.utc)
    target.run_checks()
    after = datetime.now(timezone.utc)
    slack = timedelta(minutes=10)
    planned = comparable(entry["next_check_at"])
    assert before + timedelta(hours=hours) - slack <= planned
    assert planned <= after + timedelta(hours=hours) + slack
