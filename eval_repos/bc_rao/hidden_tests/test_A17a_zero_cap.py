"""A cap of 0 allows nothing; only a missing cap is none."""

from conftest import USER


def tracker(target, monkeypatch, trial_cap):
    monkeypatch.setenv("TRIAL_COST_CAP_USD", trial_cap)
    return target.module("app.inference.cost_tracker").CostTracker(target.db)


def test_zero_cap_allows_nothing(target, monkeypatch):
    allowed, remaining = tracker(target, monkeypatch, "0").check_budget(USER, "trial")
    assert allowed is False
    assert remaining == 0


def test_other_caps_work_as_before(target, monkeypatch):
    costs = tracker(target, monkeypatch, "0.5")
    assert costs.check_budget(USER, "trial") == (True, 0.5)
    assert costs.check_budget(USER, "enterprise") == (True, float("inf"))
    target.db.put("usage_tracking", user_id=USER, action="x", cost_usd=0.6)
    assert costs.check_budget(USER, "trial") == (False, 0.0)
