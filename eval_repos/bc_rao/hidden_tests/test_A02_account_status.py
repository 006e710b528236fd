"""Account status and check interval come from one source."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import CAMPAIGN, USER

URL = "https://www.reddit.com/r/Breadit/comments/xyz789/my_bread/"
INTERVALS = {"New": 1, "Established": 4}


def register(target, plan, history):
    if plan is not None:
        target.db.put("subscriptions", user_id=USER, plan=plan)
    if history is not None:
        target.monitored(
            account_status=history,
            check_interval_hours=INTERVALS[history],
            submitted_at=(datetime.now(timezone.utc) - timedelta(days=1)).isoformat(),
        )
    service = target.module("app.services.monitoring_service").MonitoringService(target.db)
    service.register_post(
        user_id=USER,
        campaign_id=CAMPAIGN,
        draft_id=None,
        post_url=URL,
        reddit_username="baker_b",
    )
    (row,) = [r for r in target.db.rows("shadow_table") if r["reddit_post_id"] == "xyz789"]
    return row


def test_new_account_of_a_paying_user_is_checked_like_a_new_account(target):
    row = register(target, "growth", "New")
    assert row["account_status"] == "New"
    assert row["check_interval_hours"] == INTERVALS["New"]


@pytest.mark.parametrize("plan", [None, "trial", "growth"])
@pytest.mark.parametrize("history", [None, "New", "Established"])
def test_interval_fits_the_status(target, plan, history):
    row = register(target, plan, history)
    assert row["check_interval_hours"] == INTERVALS[row["account_status"]]
