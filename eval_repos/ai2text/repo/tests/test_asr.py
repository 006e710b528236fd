import json
from types import SimpleNamespace

import pytest
import requests
from fakes import FakeRedis, s3_error, wav_bytes
from faster_whisper import WhisperModel
from job_queue import Job, JobQueue
from textnorm import normalise

RECORDING = "5f0c9a9e-0000-4000-8000-000000000001"


class MetadataAdapter(requests.adapters.BaseAdapter):
    def __init__(self):
        super().__init__()
        self.sent = []
        self.status = 204

    def send(self, request, timeout=None, **options):
        self.sent.append((request.method, request.url, json.loads(request.body), timeout))
        response = requests.Response()
        response.status_code = self.status
        response.request = request
        response.url = request.url
        return response

    def close(self):
        pass


@pytest.fixture
def adapter():
    return MetadataAdapter()


@pytest.fixture
def worker(load, adapter, s3, monkeypatch):
    monkeypatch.setattr(WhisperModel, "heard", [])
    module = load("asr/worker.py")
    module.metadata.mount("http://", adapter)
    s3.objects["audio", "2025/a.wav"] = wav_bytes()
    return module


def waiting(store, **event):
    store.lpush(JobQueue.WAITING, json.dumps({"recording_id": RECORDING, "object_key": "2025/a.wav", **event}))


def test_recording_is_transcribed(worker, s3, adapter):
    worker.process_recording(Job(RECORDING, "2025/a.wav"))
    assert WhisperModel.heard == [wav_bytes()]
    stored = json.loads(s3.objects["transcripts", f"{RECORDING}.json"])
    assert (stored["text"], stored["language"], stored["segments"][0]["end"]) == ("Xin chào", "vi", 1.0)
    ((method, url, body, timeout),) = adapter.sent
    assert (method, url) == ("PUT", f"http://metadata:8000/recordings/{RECORDING}/transcript")
    assert body == {"text": "Xin chào", "model": "small"}
    assert timeout


def test_job_is_done(worker, store):
    waiting(store)
    worker.handle(worker.queue.reserve(timeout=1))
    assert not any(store.lists.values())


def test_job_is_tried_again(worker, store, s3, caplog):
    s3.failing["2025/a.wav"] = s3_error("SlowDown", "audio", "2025/a.wav")
    waiting(store)
    worker.handle(worker.queue.reserve(timeout=1))
    (raw,) = store.lists[JobQueue.WAITING]
    assert json.loads(raw)["attempts"] == 1
    assert "SlowDown" in caplog.text


def test_job_is_given_up_after_some_attempts_or_without_audio(worker, store, s3, adapter):
    adapter.status = 500
    waiting(store, attempts=worker.MAX_ATTEMPTS - 1)
    worker.handle(worker.queue.reserve(timeout=1))
    assert store.lists[JobQueue.WAITING] == []
    assert len(store.lists[JobQueue.BURIED]) == 1
    s3.objects.clear()
    waiting(store)
    worker.handle(worker.queue.reserve(timeout=1))
    assert len(store.lists[JobQueue.BURIED]) == 2


def test_run_recovers_what_was_left_behind(worker, store, caplog):
    waiting(store)
    worker.queue.reserve(timeout=1)
    original = worker.handle

    def handle(job):
        worker.stopping.set()
        original(job)

    worker.handle = handle
    worker.run()
    assert "1 unfinished jobs" in caplog.text
    assert not any(store.lists.values())


def test_main_closes_its_clients(worker, store):
    worker.stopping.set()
    assert worker.main() == 0
    assert store.closed


def test_unreadable_events_are_put_aside():
    for raw in ("{", "[]", '{"object_key": "a.wav"}'):
        store = FakeRedis()
        store.lpush(JobQueue.WAITING, raw)
        assert JobQueue(store, worker="w1").reserve(timeout=1) is None
        assert store.lists == {JobQueue.WAITING: [], "asr:working:w1": [], JobQueue.BURIED: [raw]}


def test_doubtful_segments_are_left_out(worker, monkeypatch):
    doubtful = SimpleNamespace(start=1.0, end=2.0, text="xyz", avg_logprob=-3.0)
    monkeypatch.setattr(WhisperModel, "segments", [*WhisperModel.segments, doubtful])
    assert worker.process_recording(Job(RECORDING, "2025/a.wav"))["text"] == "Xin chào"


def test_text_is_normalised():
    written = {
        "  xin   chào , các bạn": "Xin chào, các bạn",
        "ờ, tôi ừm đi hà lội": "Tôi đi Hà Nội",
        "rất rất rất vui": "Rất vui",
        "mô hình ây ai của phây búc": "Mô hình AI của Facebook",
        "": "",
    }
    assert {heard: normalise(heard) for heard in written} == written
