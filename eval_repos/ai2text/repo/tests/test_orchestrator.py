import json
import uuid
import wave

import datasets
import pytest
from fakes import s3_error, wav_bytes
from fastapi.testclient import TestClient


@pytest.fixture
def orchestrator(load, monkeypatch):
    module = load("training-orchestrator/app.py")
    monkeypatch.setattr(module, "wave", wave, raising=False)
    return module


@pytest.fixture
def api(orchestrator):
    with TestClient(orchestrator.app) as client:
        yield client


def item(s3, seconds=1.0, text="xin  chào"):
    recording_id = str(uuid.uuid4())
    key = f"2025/01/02/{recording_id}.wav"
    s3.objects["audio", key] = wav_bytes(seconds)
    return {"recording_id": recording_id, "object_key": key, "transcript": text}


def manifest(s3, version="v1"):
    text = s3.objects["datasets", f"manifests/{version}.jsonl"].decode()
    return [json.loads(line) for line in text.splitlines()]


def test_first_batch_starts_the_manifest(api, s3):
    items = [item(s3, 1.0), item(s3, 2.5)]
    answer = api.post("/datasets/v1/items", json=items)
    assert answer.status_code == 200
    assert answer.json() == {"version": "v1", "added": 2, "skipped": [], "hours": pytest.approx(3.5 / 3600, abs=1e-4)}
    assert [entry["duration"] for entry in manifest(s3)] == [1.0, 2.5]
    assert [entry["id"] for entry in manifest(s3)] == [i["recording_id"] for i in items]
    assert manifest(s3)[0]["text"] == "xin chào"


def test_second_batch_extends_the_manifest(api, s3):
    first, second = item(s3), item(s3)
    api.post("/datasets/v2/items", json=[first])
    api.post("/datasets/v2/items", json=[second])
    assert [entry["id"] for entry in manifest(s3, "v2")] == [first["recording_id"], second["recording_id"]]
    assert api.get("/datasets/v2").json()["items"] == 2


def test_damaged_manifest_lines_do_not_count(orchestrator, s3):
    good = json.dumps({"duration": 1800.0})
    assert orchestrator._total_hours([good + "\n", '{"duration": 36\n', "\n", good + "\n"]) == pytest.approx(1.0)


def test_damaged_line_stays_in_the_manifest(api, s3):
    s3.objects["datasets", "manifests/v3.jsonl"] = b'{"duration": 7200.0}\n{"duration"\n'
    answer = api.post("/datasets/v3/items", json=[item(s3, 36.0)])
    assert answer.json()["hours"] == pytest.approx(2.01)
    assert s3.objects["datasets", "manifests/v3.jsonl"].count(b"\n") == 3


def test_recordings_without_audio_are_skipped(api, s3):
    gone, there = item(s3), item(s3)
    del s3.objects["audio", gone["object_key"]]
    answer = api.post("/datasets/v1/items", json=[gone, there]).json()
    assert (answer["added"], answer["skipped"]) == (1, [gone["recording_id"]])
    s3.failing[gone["object_key"]] = s3_error("AccessDenied", "audio", gone["object_key"])
    assert api.post("/datasets/v2/items", json=[gone]).json()["added"] == 0
    assert s3.keys("datasets", "manifests/v2*") == []


def test_duration_of_a_recording(orchestrator, s3):
    s3.objects["audio", "a.wav"] = wav_bytes(0.25, rate=8000)
    assert orchestrator._wav_dur("audio", "a.wav") == pytest.approx(0.25)


def test_clip_is_stored_and_added(api, s3):
    answer = api.post(
        "/datasets/v4/clips",
        data={"transcript": "một hai ba"},
        files={"file": ("clip.wav", wav_bytes(2.0), "audio/wav")},
    )
    assert answer.status_code == 201
    assert s3.objects["datasets", answer.json()["object_key"]] == wav_bytes(2.0)
    assert manifest(s3, "v4")[0]["text"] == "một hai ba"


def test_versions_are_checked(api):
    for version in ("1", "v", "vx", "v12345"):
        assert api.get(f"/datasets/{version}").status_code == 422, version
    assert api.get("/datasets/v9").status_code == 404
    assert api.post("/runs", json={"version": "v9"}).status_code == 404


def test_summary_failures_are_not_taken_for_unknown_versions(orchestrator, s3):
    s3.failing["manifests/v1.summary.json"] = s3_error("AccessDenied", "datasets", "manifests/v1.summary.json")
    with pytest.raises(type(s3_error("x", "y", "z"))):
        orchestrator._summary("v1")


def test_run_is_queued_when_there_is_enough_audio(api, s3, store):
    api.post("/datasets/v1/items", json=[item(s3)])
    assert api.post("/runs", json={"version": "v1"}).status_code == 409
    body, _ = datasets.summary_of("v1", [], 2.0, None)
    s3.objects["datasets", "manifests/v1.summary.json"] = body.read()
    answer = api.post("/runs", json={"version": "v1", "epochs": 5})
    assert answer.status_code == 202
    run_id = answer.json()["run_id"]
    assert store.lists["training:queue"] == [run_id]
    run = api.get(f"/runs/{run_id}").json()
    assert (run["stage"], run["finished"], run["epochs"]) == ("QUEUED", False, 5)
    assert api.get(f"/runs/{uuid.uuid4()}").status_code == 404


def test_splits_are_stable_and_near_their_share():
    ids = [str(uuid.UUID(int=n)) for n in range(2000)]
    splits = [datasets.split_of(i) for i in ids]
    assert splits == [datasets.split_of(i) for i in ids]
    assert 0.85 < splits.count("train") / len(splits) < 0.95
    assert set(splits) == {"train", "dev", "test"}


def test_summary_counts_on():
    lines = [datasets.manifest_line(str(uuid.UUID(int=n)), f"{n}.wav", "a", float(n)) for n in (1, 2, 6)]
    body, length = datasets.summary_of("v1", lines, 1.0, {"items": 4, "splits": {"train": 4}})
    summary = json.loads(body.read(length))
    assert (summary["items"], sum(summary["splits"].values())) == (7, 7)
    assert summary["last_batch"] == {"count": 3, "shortest": 1.0, "longest": 6.0, "mean": 3.0, "median": 2.0}
    assert body.read() == b""
