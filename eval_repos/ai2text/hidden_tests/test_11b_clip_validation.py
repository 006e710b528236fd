"""Studio clips are taken only when they are WAV files of a sensible size."""
import json

from fastapi.testclient import TestClient
from helpers import check_upload


def test_clips_are_checked(world):
    module = world.orchestrator()
    client = TestClient(module.app, raise_server_exceptions=False)

    def post(name, content, content_type):
        return client.post("/datasets/v1/clips", data={"transcript": "xin chào"}, files={"file": (name, content, content_type)})

    check_upload(world.monkeypatch, post, lambda: sorted(world.s3.objects.values()))
    manifest = world.s3.objects["datasets", "manifests/v1.jsonl"].decode().splitlines()
    assert [json.loads(line)["duration"] for line in manifest] == [1.5]
