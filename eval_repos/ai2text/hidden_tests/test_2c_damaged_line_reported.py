"""A damaged manifest line is left out, the others count, and somebody is told."""
import json

import pytest

GOOD = json.dumps({"duration": 1800.0}) + "\n"


def test_damaged_lines_are_reported(world, reported):
    module = world.orchestrator()
    reported()
    assert module._total_hours([GOOD, GOOD]) == pytest.approx(1.0)
    assert module._total_hours([GOOD, '{"duration": 36\n', "no json\n", GOOD]) == pytest.approx(1.0)
    assert reported(), "damaged lines are left out and nobody is told"
