"""Batches and bisection: which patches are kept, and how many runs of the suite it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixbot.agent.verify.batch import verify_batch
from fixbot.agent.verify.verdict import Delta
from fixbot.detectors.finding import Safety
from fixbot.patchers.patch import Origin, Patch


def make(count: int) -> list[Patch]:
    return [Patch(str(number), "rule", Origin.CODEMOD, Safety.SAFE, {}, ()) for number in range(count)]


class Suite:
    """A suite in which each bad patch makes one test of its own fail, or a pair of patches a common one."""

    def __init__(self, bad: set[str], pairs: Sequence[tuple[str, str]] = (), flaky: int = 0) -> None:
        self.bad, self.pairs, self.flaky = bad, pairs, flaky
        self.whole = self.partial = 0

    def __call__(self, patches: Sequence[Patch], select: tuple[str, ...] | None) -> Delta:
        names = {patch.finding for patch in patches}
        failing = {f"test_{name}" for name in self.bad & names} | {f"test_{a}_{b}" for a, b in self.pairs if {a, b} <= names}
        if select is None:
            self.whole += 1
            if self.flaky:
                self.flaky -= 1
                failing.add("test_flaky")
        else:
            self.partial += 1
            failing &= set(select)
        return Delta(tuple(sorted(failing)))


def test_all_good_costs_one_run() -> None:
    suite = Suite(set())
    batch = verify_batch(make(20), suite)
    assert (len(batch.accepted), suite.whole, suite.partial) == (20, 1, 0)


@pytest.mark.parametrize("bad", range(21))
def test_one_bad_of_twenty_one_costs_at_most_eight_runs(bad: int) -> None:
    suite = Suite({str(bad)})
    batch = verify_batch(make(21), suite)
    assert {patch.finding for patch in batch.accepted} == {str(number) for number in range(21)} - {str(bad)}
    assert batch.rejected[str(bad)].newly_failing == (f"test_{bad}",)
    assert suite.whole + suite.partial <= 8
    assert suite.whole == 2


def test_flaky_failure_rejects_nothing() -> None:
    suite = Suite(set(), flaky=1)
    batch = verify_batch(make(5), suite)
    assert len(batch.accepted) == 5
    assert batch.final.flaky == ("test_flaky",)


def test_wary_of_tests_that_also_fail_without_patches() -> None:
    class Shaky(Suite):
        def __call__(self, patches: Sequence[Patch], select: tuple[str, ...] | None) -> Delta:
            delta = super().__call__(patches, select)
            return Delta((*delta.newly_failing, "test_shaky"))

    batch = verify_batch(make(5), Shaky({"3"}), wary=True)
    assert [patch.finding for patch in batch.accepted] == ["0", "1", "2", "4"]
    assert batch.rejected["3"].newly_failing == ("test_3",)
    assert batch.final.flaky == ("test_shaky",)


def test_a_pair_that_is_bad_together_loses_only_one() -> None:
    batch = verify_batch(make(6), Suite(set(), [("1", "4")]))
    assert [patch.finding for patch in batch.accepted] == ["0", "1", "2", "3", "5"]


@given(st.integers(1, 30), st.sets(st.integers(0, 29), max_size=4))
def test_exactly_the_bad_ones_are_rejected(count: int, numbers: set[int]) -> None:
    bad = {str(number) for number in numbers if number < count}
    suite = Suite(bad)
    batch = verify_batch(make(count), suite)
    assert set(batch.rejected) == bad
    assert len(batch.accepted) == count - len(bad)
    assert suite.whole + suite.partial <= 1 + len(bad) * (3 + math.ceil(math.log2(max(count, 2))))
