import asyncio
import json
import os
import subprocess
import time

import httpx
import pytest
from audio import ConversionError, to_wav
from events import Topics
from fakes import s3_error, wav_bytes
from fastapi.testclient import TestClient
from metadata_client import MetadataClient, MetadataUnavailable


class MetadataService:
    def __init__(self):
        self.recordings = []
        self.answers = []

    def __call__(self, request):
        answer = self.answers.pop(0) if self.answers else 201
        if isinstance(answer, Exception):
            raise answer
        if answer == 201:
            self.recordings.append(json.loads(request.content))
        return httpx.Response(answer)


@pytest.fixture
def service():
    return MetadataService()


@pytest.fixture
def ingestion(load, service):
    module = load("ingestion/app.py")
    module.metadata = MetadataClient("http://metadata:8000", transport=httpx.MockTransport(service))
    return module


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    original = asyncio.sleep
    waited = []

    async def sleep(delay, result=None):
        waited.append(delay)
        await original(0.001)
        return result

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def ffmpeg(monkeypatch):
    """ffmpeg that cannot read anything."""

    def run(command, **options):
        raise subprocess.CalledProcessError(1, command, stderr=b"Invalid data found")

    monkeypatch.setattr(subprocess, "run", run)


def drop(module, name, data):
    """A file that was put into the hot folder some time ago."""
    path = os.path.join(module.HOT_FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as fh:
        fh.write(data)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


async def scan(module, times=3):
    for _ in range(times):
        await module.scan_hot_folder()


def test_files_of_the_hot_folder_are_ingested(ingestion, s3, store, service):
    path = drop(ingestion, "hanoi/interview.wav", wav_bytes(1.5))
    drop(ingestion, "hanoi/notes.txt", b"no audio")
    asyncio.run(scan(ingestion))
    (key,) = s3.keys("audio")
    assert s3.objects["audio", key] == wav_bytes(1.5)
    (recording,) = service.recordings
    assert (recording["object_key"], recording["source"], recording["original_name"]) == (key, "hot-folder", "interview.wav")
    (event,) = [json.loads(raw) for raw in store.lists[Topics.INGESTED]]
    assert (event["recording_id"], event["duration"]) == (recording["id"], 1.5)
    assert not os.path.exists(path)
    (kept,) = os.listdir(ingestion.PROCESSED_FOLDER)
    assert kept.endswith("-interview.wav")


def test_one_bad_file_does_not_stop_the_others(ingestion, service, ffmpeg, capsys):
    bad = drop(ingestion, "a-broken.mp3", b"\x00" * 64)
    drop(ingestion, "b.wav", wav_bytes())
    asyncio.run(scan(ingestion))
    assert [recording["original_name"] for recording in service.recordings] == ["b.wav"]
    assert os.path.exists(bad)
    assert "a-broken.mp3" in capsys.readouterr().out


def test_hot_folder_is_watched(ingestion, service):
    drop(ingestion, "early.wav", wav_bytes())

    async def watch():
        task = asyncio.create_task(ingestion.watch_local())
        for _ in range(5000):
            if service.recordings:
                break
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    assert [recording["original_name"] for recording in service.recordings] == ["early.wav"]


def test_inbox_object_is_imported(ingestion, s3, service):
    s3.objects["inbox", "partner/2025/call.wav"] = wav_bytes(0.5)
    asyncio.run(ingestion.handle_s3_object("partner/2025/call.wav"))
    (key,) = s3.keys("audio")
    assert s3.objects["audio", key] == wav_bytes(0.5)
    assert s3.keys("inbox") == []
    assert (service.recordings[0]["source"], service.recordings[0]["original_name"]) == ("inbox", "call.wav")


def test_inbox_object_stays_when_metadata_is_down(ingestion, s3, store, service):
    s3.objects["inbox", "partner/call.wav"] = wav_bytes()
    service.answers = [503] * 4
    with pytest.raises(MetadataUnavailable):
        asyncio.run(ingestion.handle_s3_object("partner/call.wav"))
    assert s3.keys("inbox") == ["partner/call.wav"]
    assert Topics.INGESTED not in store.lists
    asyncio.run(ingestion.handle_s3_object("partner/call.wav"))
    assert len(s3.keys("audio")) == len(service.recordings) == 1


def test_inbox_object_that_is_no_audio_is_rejected(ingestion, s3, store, service, ffmpeg):
    s3.objects["inbox", "partner/readme.txt"] = b"hello"
    asyncio.run(ingestion.handle_s3_object("partner/readme.txt"))
    assert s3.keys("inbox") == ["rejected/partner/readme.txt"]
    assert service.recordings == []
    assert json.loads(store.lists[Topics.REJECTED][0])["reason"] == "Invalid data found"


def test_object_is_imported_once_at_a_time(ingestion, s3, service):
    s3.objects["inbox", "partner/call.wav"] = wav_bytes()

    async def twice():
        await asyncio.gather(*(ingestion.handle_s3_object("partner/call.wav") for _ in range(2)))

    asyncio.run(twice())
    assert len(service.recordings) == 1


def test_upload_waits_in_the_inbox(ingestion, s3):
    client = TestClient(ingestion.app)
    answer = client.post("/upload", data={"speaker": "anna"}, files={"file": ("../chợ lớn.wav", wav_bytes(), "audio/wav")})
    assert answer.status_code == 202
    key = answer.json()["key"]
    assert key.startswith("uploads/anna/") and ".." not in key and " " not in key
    assert s3.objects["inbox", key] == wav_bytes()
    answer = client.post("/upload", data={"speaker": "../x"}, files={"file": ("a.wav", wav_bytes(), "audio/wav")})
    assert answer.status_code == 422
    assert s3.keys("inbox") == [key]


def test_service_runs_with_its_watchers(ingestion, s3, store):
    s3.objects["inbox", "rejected/old.txt"] = b"hello"
    s3.objects["inbox", "partner/call.wav"] = wav_bytes()
    with TestClient(ingestion.app) as client:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.post("/import", data={"key": "uploads/anna/gone.wav"}).status_code == 202
        assert client.post("/import", data={"key": "../etc"}).status_code == 422
    assert store.closed
    assert s3.objects["inbox", "rejected/old.txt"] == b"hello"


def test_failed_import_is_reported(ingestion, s3, capsys):
    s3.failing["uploads/anna/a.wav"] = s3_error("AccessDenied", "inbox", "uploads/anna/a.wav")
    asyncio.run(ingestion._guarded_import("uploads/anna/a.wav"))
    assert "AccessDenied" in capsys.readouterr().out


def test_metadata_client_tries_again(service, no_waiting):
    service.answers = [503, httpx.ConnectError("refused"), 201]
    client = MetadataClient("http://metadata:8000", transport=httpx.MockTransport(service))
    asyncio.run(client.create_recording({"id": "r1"}))
    assert service.recordings == [{"id": "r1"}]
    assert len(no_waiting) == 2 and 0.5 <= no_waiting[0] <= 1.0 <= no_waiting[1] <= 2.0


def test_metadata_client_does_not_repeat_a_refused_request(service):
    service.answers = [422]
    client = MetadataClient("http://metadata:8000", transport=httpx.MockTransport(service))
    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(client.create_recording({"id": "r1"}))
    assert service.answers == []


def test_conversion_failures(tmp_path, ffmpeg, monkeypatch):
    source = tmp_path / "a.mp3"
    source.write_bytes(b"ID3")
    with pytest.raises(ConversionError, match="Invalid data"):
        to_wav(str(source), str(tmp_path / "a.wav"))

    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(ConversionError, match="600 s"):
        to_wav(str(source), str(tmp_path / "a.wav"))
