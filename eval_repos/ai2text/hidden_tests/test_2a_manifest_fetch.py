"""Only a failed download starts an empty manifest, and it is reported; an interrupt is not swallowed."""
import json

import pytest
from helpers import s3_error

KEY = "manifests/v1.jsonl"
LINE = json.dumps({"id": "r1", "duration": 36.0})


def test_new_version_gets_a_manifest(world):
    module = world.orchestrator()
    assert module._append_manifest("v1", [LINE]) == pytest.approx(0.01)
    assert world.s3.objects["datasets", KEY].decode() == LINE + "\n"


def test_existing_manifest_is_extended(world):
    module = world.orchestrator()
    world.s3.objects["datasets", KEY] = (LINE + "\n").encode()
    assert module._append_manifest("v1", [LINE]) == pytest.approx(0.02)
    assert world.s3.objects["datasets", KEY].decode() == (LINE + "\n") * 2


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_interrupts_are_not_caught(world, signal):
    module = world.orchestrator()
    world.s3.failing[KEY] = signal()
    with pytest.raises(signal):
        module._append_manifest("v1", [LINE])
    assert ("datasets", KEY) not in world.s3.objects


def test_other_failures_are_raised_or_reported(world, reported):
    module = world.orchestrator()
    world.s3.failing[KEY] = s3_error("AccessDenied", "datasets", KEY)
    reported()
    try:
        module._append_manifest("v1", [LINE])
    except Exception:
        return
    assert reported(), "the manifest could not be fetched and nobody is told"
