"""Changing a manifest uses a file of its own, which is gone afterwards."""
import json
import os

import pytest
from helpers import s3_error

LINE = json.dumps({"id": "r1", "duration": 36.0})


def test_every_call_has_its_own_file(world):
    module = world.orchestrator()
    seen = []
    for version in ("v1", "v2", "v1"):
        world.s3.paths.clear()
        module._append_manifest(version, [LINE])
        seen.append(set(world.s3.used_paths(f"manifests/{version}.jsonl")))
    assert world.s3.objects["datasets", "manifests/v1.jsonl"].decode() == (LINE + "\n") * 2
    assert world.s3.objects["datasets", "manifests/v2.jsonl"].decode() == LINE + "\n"
    assert not (seen[0] & seen[1] or seen[1] & seen[2] or seen[0] & seen[2]), "two changes share a file"
    paths = set().union(*seen)
    assert "/tmp/__manifest.jsonl" not in paths
    assert not any(os.path.exists(path) for path in paths), "the file is left behind"


def test_file_is_removed_after_a_failure(world):
    module = world.orchestrator()
    key = "manifests/v1.jsonl"
    world.s3.failing_puts[key] = s3_error("SlowDown", "datasets", key)
    with pytest.raises(Exception):
        module._append_manifest("v1", [LINE])
    assert not any(os.path.exists(path) for path in world.s3.used_paths(key))
