"""A damaged manifest line is left out and reported; an interrupt is not swallowed."""
import json

import pytest

GOOD = json.dumps({"duration": 1800.0}) + "\n"


def test_damaged_lines_are_left_out_and_reported(world, reported):
    module = world.orchestrator()
    reported()
    assert module._total_hours([GOOD, '{"duration": 36\n', GOOD]) == pytest.approx(1.0)
    assert reported(), "a damaged line is left out and nobody is told"


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_interrupts_are_not_caught(world, monkeypatch, signal):
    module = world.orchestrator()

    def interrupted(self, *args, **options):
        raise signal

    monkeypatch.setattr(json.JSONDecoder, "decode", interrupted)
    with pytest.raises(signal):
        module._total_hours([GOOD])
