"""A manifest that cannot be fetched is not replaced in silence."""
import json

import pytest
from helpers import s3_error

KEY = "manifests/v1.jsonl"
LINE = json.dumps({"id": "r1", "duration": 36.0})


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown"])
def test_failure_is_raised_or_reported(world, reported, code):
    module = world.orchestrator()
    world.s3.failing[KEY] = s3_error(code, "datasets", KEY)
    reported()
    try:
        module._append_manifest("v1", [LINE])
    except Exception:
        return
    assert reported(), "the manifest could not be fetched and nobody is told"


def test_new_version_gets_a_manifest(world):
    module = world.orchestrator()
    assert module._append_manifest("v1", [LINE]) == pytest.approx(0.01)
    assert world.s3.objects["datasets", KEY].decode() == LINE + "\n"
