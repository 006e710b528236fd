"""A few of the rounds that ``scheduled_runs.py`` plays by the hundred."""

from __future__ import annotations

from pathlib import Path

from scheduled_runs import play


def test_no_promise_is_broken_by_people_faults_and_kills(tmp_path: Path) -> None:
    world = play(tmp_path, rounds=12, seed=4)
    assert world.happened["delivered"] >= 5
    assert world.happened["killed"] >= 1
    assert sum(count for what, count in world.happened.items() if what.startswith("fault")) >= 8
    assert len(world.rig.forge.pulls) >= 4
