"""Bookings use the cost that OpenRouter reports, the price list only without one."""

import asyncio

import pytest

MODEL_COST = 0.0333


def complete(target):
    settings = target.module("app.config").get_settings()
    client = target.module("app.inference.client").InferenceClient(settings)
    messages = [{"role": "user", "content": "Write"}]
    return asyncio.run(client.complete("generate_draft", messages))


def test_reported_cost_is_booked(target):
    # wherever the answer is asked for it
    target.web.completion["usage"].update(cost=MODEL_COST, total_cost=MODEL_COST)
    target.web.completion_headers = {"X-OpenRouter-Cost": str(MODEL_COST)}
    target.web.generation_cost = MODEL_COST
    assert complete(target).cost_usd == pytest.approx(MODEL_COST, rel=1e-3)


def test_without_a_reported_cost_it_is_estimated(target):
    result = complete(target)
    assert result.cost_usd > 0
    assert result.total_tokens == 1500
