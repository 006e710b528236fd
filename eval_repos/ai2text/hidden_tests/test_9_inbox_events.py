"""New objects of the inbox are imported because S3 announces them, not because somebody lists the bucket every 30 s."""
import asyncio
import queue
import time

from fastapi.testclient import TestClient
from helpers import real_sleep, wav_bytes

RECORD = {
    "eventVersion": "2.0",
    "eventSource": "minio:s3",
    "eventName": "s3:ObjectCreated:Put",
    "s3": {"bucket": {"name": "inbox"}, "object": {"key": "call.wav", "size": len(wav_bytes(1.5))}},
}
EVENT = {"EventName": "s3:ObjectCreated:Put", "Key": "inbox/call.wav", "Records": [RECORD]}


class Notifications:
    """MinIO's listen_bucket_notification."""

    def __init__(self):
        self.events = queue.Queue()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        event = self.events.get()
        if event is None:
            self.events.put(None)
            raise StopIteration
        return event

    def close(self):
        self.events.put(None)


def test_announced_object_is_imported(world):
    listing = []
    slept: dict[object, float] = {}
    notifications = Notifications()
    world.s3.listen_bucket_notification = lambda *args, **options: notifications

    def list_objects(*args, **options):
        listing.append(args)
        return iter(())

    world.s3.list_objects = list_objects

    async def sleep(delay, result=None):
        task = asyncio.current_task()
        slept[task] = slept.get(task, 0.0) + delay
        await real_sleep(0.002)
        return result

    world.monkeypatch.setattr(asyncio, "sleep", sleep)
    module = world.ingestion()
    world.s3.objects["inbox", "call.wav"] = wav_bytes(1.5)
    with TestClient(module.app, raise_server_exceptions=False) as client:
        time.sleep(0.3)
        client.post("/events/s3", json=EVENT)
        notifications.events.put(EVENT)
        end = time.monotonic() + 6
        while not module.metadata.recordings and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.1)
        notifications.events.put(None)
        calls = len(listing)
        elapsed = max(slept.values(), default=0.0)
    assert [recording["original_name"] for recording in module.metadata.recordings][:1] == ["call.wav"]
    assert wav_bytes(1.5) in world.s3.objects.values()
    assert calls <= 2 + elapsed / 300, f"the bucket was listed {calls} times in {elapsed:.0f} s"
