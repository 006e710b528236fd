"""The budget: no limit is passed, whatever is asked in whatever order."""

from __future__ import annotations

import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixbot.patchers.model.budget import Budget, Estimate, Limits, NoPricesError, Prices, Spent
from fixbot.patchers.model.messages import Message, OverBudgetError, Request, Usage


def question(finding: str = "f") -> Request:
    return Request((Message("user", "x"),), "fix", finding, "p")


CALLS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3000), st.integers(1, 2000), st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1))),
    max_size=40,
)
MONEY = st.floats(0, 0.02)
LIMITS = st.builds(Limits, MONEY, st.integers(0, 20_000), MONEY, st.integers(0, 8_000), st.integers(0, 20))
PRICES = st.builds(Prices, st.floats(0, 20), st.floats(0, 80), st.none() | st.floats(0, 30))


@given(CALLS, LIMITS, PRICES)
def test_no_limit_is_ever_passed(calls: list[tuple[str, int, int, tuple[float, float] | None]], limits: Limits, prices: Prices) -> None:
    budget = Budget(limits, prices)
    for finding, size, output, share in calls:
        try:
            held = budget.reserve(question(finding), Estimate(size, output))
        except OverBudgetError:
            continue
        used = (
            None if share is None else Usage(int(held.prompt * share[0]), int(held.completion * share[1]), int(held.prompt * share[0] / 2))
        )
        budget.settle(held, used)
    spent = budget.spent
    assert limits.calls is not None
    assert spent.calls <= limits.calls
    assert spent.prompt_tokens + spent.completion_tokens <= (limits.run_tokens or 0)
    assert (spent.cost or 0) <= (limits.run_cost or 0) + 1e-9
    for tokens, cost in spent.findings.values():
        assert tokens <= (limits.finding_tokens or 0)
        assert cost <= (limits.finding_cost or 0) + 1e-9
    assert spent.prompt_tokens + spent.completion_tokens == sum(tokens for tokens, _ in spent.findings.values())


@pytest.mark.parametrize("seed", range(3))
def test_no_limit_is_passed_by_threads(seed: int) -> None:
    limits = Limits(run_cost=0.2, run_tokens=40_000, finding_tokens=15_000, calls=60)
    budget = Budget(limits, Prices(1, 3))
    outcomes: list[str] = []

    def work(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        for _ in range(20):
            try:
                held = budget.reserve(question(dice.choice("abcd")), Estimate(dice.randint(1, 1000), dice.randint(1, 800)))
            except OverBudgetError:
                outcomes.append("over")
                continue
            time.sleep(dice.random() / 1000)
            used = Usage(dice.randint(0, held.prompt), dice.randint(0, held.completion))
            budget.settle(held, dice.choice([None, used]))
            outcomes.append("made")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    spent = budget.spent
    assert outcomes.count("made") == spent.calls <= 60
    assert "over" in outcomes
    assert spent.prompt_tokens + spent.completion_tokens <= 40_000
    assert spent.cost is not None
    assert spent.cost <= 0.2
    assert all(tokens <= 15_000 for tokens, _ in spent.findings.values())


def test_a_call_waits_for_others_under_way_rather_than_being_refused() -> None:
    budget = Budget(Limits(run_tokens=1000))
    first = budget.reserve(question(), Estimate(100, 700))
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(budget.reserve(question(), Estimate(100, 700)).completion))
    thread.start()
    time.sleep(0.05)
    assert got == []
    budget.settle(first, Usage(50, 10))
    thread.join(5)
    assert got == [700]


def test_a_thread_does_not_wait_for_itself() -> None:
    budget = Budget(Limits(run_tokens=1000))
    budget.reserve(question(), Estimate(100, 700))
    with pytest.raises(OverBudgetError, match="of the run"):
        budget.reserve(question(), Estimate(100, 700))


def test_the_estimate_learns_from_usage_upwards_only() -> None:
    budget = Budget()
    first = budget.reserve(question(), Estimate(700, 1))
    assert first.prompt == 700  # nothing known about the tokeniser: no byte is more than a token
    budget.settle(first, Usage(100, 1))
    second = budget.reserve(question(), Estimate(700, 1))
    assert second.prompt == 200  # 3.5 bytes a token
    budget.settle(second, Usage(350, 1))
    third = budget.reserve(question(), Estimate(700, 1))
    assert third.prompt == 438  # what was measured, and a quarter
    budget.settle(third, Usage(10, 1))
    assert budget.reserve(question(), Estimate(700, 1)).prompt == 438


def test_unknown_usage_counts_in_full_and_says_so() -> None:
    budget = Budget(prices=Prices(1, 2))
    counted = budget.settle(budget.reserve(question(), Estimate(700, 50)), None)
    assert counted == Usage(700, 50, estimated=True)
    assert budget.spent == Spent(1, 700, 50, 0.0008, True, {"f": (750, 0.0008)})


def test_a_budget_goes_on_where_an_earlier_run_stopped() -> None:
    earlier = Budget(Limits(run_tokens=1000), Prices(1, 1))
    earlier.settle(earlier.reserve(question(), Estimate(100, 100)), Usage(80, 20))
    later = Budget(Limits(run_tokens=1000, finding_tokens=300), Prices(1, 1), earlier.spent)
    assert later.spent == earlier.spent
    with pytest.raises(OverBudgetError, match="100 of 300 tokens of this finding"):
        later.reserve(question(), Estimate(150, 100))
    later.reserve(question("other"), Estimate(150, 100))


def test_without_prices_there_is_no_cost_and_no_limit_in_money() -> None:
    budget = Budget(Limits(run_tokens=5000))
    budget.settle(budget.reserve(question(), Estimate(10, 10)), Usage(1, 1))
    assert budget.spent.cost is None
    assert budget.cost(Usage(1, 1)) is None
    for limits in (Limits(run_cost=1), Limits(finding_cost=1)):
        with pytest.raises(NoPricesError, match="needs the model's prices"):
            Budget(limits)


def test_prices_are_numbers_and_a_reservation_is_settled_once() -> None:
    for price in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="price"):
            Prices(price, 1)
    budget = Budget()
    held = budget.reserve(question(), Estimate(1, 1))
    budget.settle(held, None)
    with pytest.raises(ValueError, match="settled"):
        budget.settle(held, None)


def test_a_limit_of_nothing_allows_nothing() -> None:
    for limits in (Limits(calls=0), Limits(run_tokens=0), Limits(finding_tokens=0), Limits(run_cost=0)):
        with pytest.raises(OverBudgetError):
            Budget(limits, Prices(1, 1)).reserve(question(), Estimate(1, 1))


def test_what_an_endpoint_uses_beyond_the_most_counts_and_stops_the_next_call() -> None:
    budget = Budget(Limits(run_tokens=1000))
    counted = budget.settle(budget.reserve(question(), Estimate(100, 100)), Usage(100, 5000))
    assert counted == Usage(100, 5000)
    with pytest.raises(OverBudgetError, match="5,100 of 1,000 tokens"):
        budget.reserve(question(), Estimate(1, 1))
