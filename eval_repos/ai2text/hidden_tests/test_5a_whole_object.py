"""A long recording is transcribed without holding all of it in memory."""
import hashlib
import os
import tracemalloc

import pytest
from helpers import s3_error

SIZE = 48 * 1024 * 1024
BLOCK = bytes(range(256)) * 256
EXPECTED = hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).hexdigest()
RECORDING = "5f0c9a9e-0000-4000-8000-000000000001"


class Response:
    """An object of 48 MiB that is made while it is read."""

    def __init__(self) -> None:
        self.left = SIZE
        self.headers = {"Content-Length": str(SIZE), "content-length": str(SIZE)}
        self.status = 200

    def read(self, amt=None, decode_content=None):
        wanted = self.left if amt is None or amt < 0 else min(amt, self.left)
        start = (SIZE - self.left) % len(BLOCK)
        self.left -= wanted
        return (BLOCK * (wanted // len(BLOCK) + 2))[start : start + wanted]

    def stream(self, amt=65536, decode_content=None):
        while chunk := self.read(amt):
            yield chunk

    def __iter__(self):
        return self.stream()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        pass

    def release_conn(self):
        pass


def test_memory_stays_small(world):
    def get_object(bucket_name, object_name, offset=0, length=0, **options):
        response = Response()
        if length:
            response.read(offset)
            response.left = min(length, response.left)
        return response

    def fget_object(bucket_name, object_name, file_path, **options):
        with open(file_path, "wb") as fh:
            for chunk in Response().stream():
                fh.write(chunk)

    world.s3.get_object = get_object
    world.s3.fget_object = fget_object
    module = world.load("asr", "worker.py")
    module.metadata = Metadata()
    heard = []
    paths = []

    def hear(fh):
        digest = hashlib.sha256()
        while chunk := fh.read(65536):
            digest.update(chunk)
        heard.append(digest.hexdigest())
        if isinstance(getattr(fh, "name", None), str):
            paths.append(fh.name)

    world.whisper.hear = hear
    tracemalloc.start()
    try:
        module.process_recording(module.Job(RECORDING, "2025/long.wav"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert heard == [EXPECTED], "the recogniser did not get the recording"
    assert peak < SIZE / 2, f"{peak / 2**20:.0f} MiB were allocated for an object of {SIZE / 2**20:.0f} MiB"
    assert not any(os.path.exists(path) for path in paths), "the downloaded file is left behind"
    assert module.metadata.urls


def test_missing_object_is_still_told_apart(world):
    module = world.load("asr", "worker.py")
    with pytest.raises(type(s3_error("NoSuchKey", "audio", "x"))):
        module.process_recording(module.Job(RECORDING, "2025/gone.wav"))


class Metadata:
    def __init__(self) -> None:
        self.urls = []

    def put(self, url, **options):
        self.urls.append(url)
        return self

    request = put

    def raise_for_status(self):
        pass
