"""Regenerating a draft goes by the plan that the user subscribed to."""

import pytest
from conftest import CAMPAIGN, DRAFT, USER


def regenerate(target, plan, drafts=12):
    if plan is not None:
        target.db.put("subscriptions", user_id=USER, plan=plan)
    for _ in range(drafts):
        target.db.put("generated_drafts", user_id=USER, campaign_id=CAMPAIGN, body="x")
    client = target.client(raise_server_exceptions=False)
    return client.post(f"/api/v1/drafts/{DRAFT}/regenerate", json={}).status_code


@pytest.mark.parametrize("plan", ["starter", "growth"])
def test_paid_plan_goes_beyond_the_trial_limit(target, plan):
    assert regenerate(target, plan) == 202


@pytest.mark.parametrize("plan", ["trial", None])
def test_trial_stays_limited(target, plan):
    assert regenerate(target, plan) == 403


def test_background_task_gets_the_plan_too(target):
    target.db.put("subscriptions", user_id=USER, plan="growth")
    target.db.put("usage_tracking", user_id=USER, action="generate_draft", cost_usd=3.0)
    with target.client() as client:
        task_id = client.post(f"/api/v1/drafts/{DRAFT}/regenerate", json={}).json()["task_id"]
        client.get(f"/api/v1/drafts/tasks/{task_id}/stream")
    assert len(target.db.rows("generated_drafts")) == 2
