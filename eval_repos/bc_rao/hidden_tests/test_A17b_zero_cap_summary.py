"""The billing page works with a cap of 0."""

import pytest
from conftest import USER


def summary(target, monkeypatch, cap, plan="trial"):
    monkeypatch.setenv("TRIAL_COST_CAP_USD", cap)
    costs = target.module("app.inference.cost_tracker").CostTracker(target.db)
    return costs.get_budget_summary(USER, plan)


@pytest.mark.parametrize("spent", [0.0, 0.2])
def test_zero_cap_has_a_summary(target, monkeypatch, spent):
    if spent:
        target.db.put("usage_tracking", user_id=USER, action="x", cost_usd=spent)
    result = summary(target, monkeypatch, "0")
    assert result["spent_usd"] == pytest.approx(spent)
    assert result["percent_used"] is None or result["percent_used"] >= 0


def test_other_caps_have_their_share(target, monkeypatch):
    target.db.put("usage_tracking", user_id=USER, action="x", cost_usd=0.2)
    assert summary(target, monkeypatch, "0.5")["percent_used"] == pytest.approx(40.0)
    assert summary(target, monkeypatch, "0.5", "enterprise")["percent_used"] is None


def test_endpoint_answers(target, monkeypatch):
    monkeypatch.setenv("TRIAL_COST_CAP_USD", "0")
    client = target.client(raise_server_exceptions=False)
    assert client.get("/api/v1/usage").status_code == 200
