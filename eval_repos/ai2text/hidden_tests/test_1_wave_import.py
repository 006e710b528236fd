"""Durations of real WAV files can be measured."""
import json
import uuid

import pytest
from fastapi.testclient import TestClient
from helpers import wav_bytes


def test_durations_are_measured(world):
    module = world.orchestrator(with_wave=False)
    items = []
    for seconds in (1.5, 0.25):
        recording_id = str(uuid.uuid4())
        world.s3.objects["audio", f"{recording_id}.wav"] = wav_bytes(seconds)
        items.append({"recording_id": recording_id, "object_key": f"{recording_id}.wav", "transcript": "xin chào"})
    with TestClient(module.app) as api:
        answer = api.post("/datasets/v1/items", json=items)
    assert answer.status_code == 200
    assert answer.json()["added"] == 2
    manifest = world.s3.objects["datasets", "manifests/v1.jsonl"].decode().splitlines()
    assert [json.loads(line)["duration"] for line in manifest] == [pytest.approx(1.5), pytest.approx(0.25)]
