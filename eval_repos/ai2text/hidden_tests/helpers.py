"""What the hidden tests share: loading a service with fakes for everything outside the process."""
import asyncio
import contextlib
import importlib.util
import io
import json
import os
import sys
import types
import wave
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace

import minio
import psycopg2
import redis
import redis.asyncio
from minio.error import S3Error

REPO_ROOT = Path(os.environ.get("REPO_ROOT") or Path(__file__).parents[1] / "repo").resolve()
SERVICES = REPO_ROOT / "services"
KEYS = {"user-2024": "u" * 40, "svc": "s" * 40}
ENVIRONMENT = {
    "S3_ENDPOINT": "minio:9000",
    "S3_ACCESS_KEY": "access",
    "S3_SECRET_KEY": "secret",
    "REDIS_URL": "redis://redis:6379/0",
    "DB_URL": "postgresql://ai2text@postgres/ai2text",
    "INGESTION_URL": "http://ingestion:8000",
    "METADATA_URL": "http://metadata:8000",
    "TRAINING_URL": "http://training:8000",
    "JWT_KEYS": json.dumps(KEYS),
}
real_sleep = asyncio.sleep


def wav_bytes(seconds: float = 1.0, rate: int = 16_000, sample: bytes = b"\x01\x02") -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(sample * int(seconds * rate))
    return buffer.getvalue()


def s3_error(code: str, bucket: str, key: str) -> S3Error:
    return S3Error(None, code, f"{code} for {key}", key, "request", "host", bucket_name=bucket, object_name=key)


class World:
    """The fakes, and a loader for the modules of the services."""

    def __init__(self, monkeypatch, tmp_path: Path) -> None:
        self.s3 = FakeS3()
        self.store = FakeRedis()
        self.db = FakePostgres()
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(minio, "Minio", lambda *args, **options: self.s3)
        monkeypatch.setattr(redis.Redis, "from_url", staticmethod(lambda *args, **options: self.store))
        monkeypatch.setattr(redis, "from_url", lambda *args, **options: self.store)
        monkeypatch.setattr(redis.asyncio, "from_url", lambda *args, **options: FakeAsyncRedis(self.store))
        monkeypatch.setattr(redis.asyncio.Redis, "from_url", staticmethod(lambda *args, **options: FakeAsyncRedis(self.store)))
        monkeypatch.setattr(psycopg2, "connect", self.db.connect)
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        for name in ("HOT_FOLDER", "PROCESSED_FOLDER", "EXPORT_DIR"):
            folder = tmp_path / name.lower()
            folder.mkdir()
            monkeypatch.setenv(name, str(folder))
        self.hot_folder = tmp_path / "hot_folder"
        self.whisper = stub_whisper(monkeypatch)
        self.watchfiles = stub_watchfiles(monkeypatch)

    def load(self, service: str, file: str = "app.py"):
        folder = SERVICES / service
        self.monkeypatch.syspath_prepend(str(folder))
        for sibling in folder.glob("*.py"):
            self.monkeypatch.delitem(sys.modules, sibling.stem, raising=False)
        name = f"hidden_{service}_{file}".replace("-", "_").removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, folder / file)
        module = importlib.util.module_from_spec(spec)
        self.monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def orchestrator(self, with_wave: bool = True):
        module = self.load("training-orchestrator")
        if with_wave and not hasattr(module, "wave"):
            module.wave = wave
        return module

    def ingestion(self):
        module = self.load("ingestion")
        module.metadata = FakeMetadata()
        return module

    def quick_sleep(self, on_sleep=lambda delay: None):
        """asyncio.sleep and time.sleep that call `on_sleep` in place of waiting."""

        async def sleep(delay, result=None):
            on_sleep(delay)
            await real_sleep(0.001)
            return result

        import time

        self.monkeypatch.setattr(asyncio, "sleep", sleep)
        self.monkeypatch.setattr(time, "sleep", on_sleep)


class FakeMetadata:
    def __init__(self) -> None:
        self.recordings: list[dict] = []

    async def create_recording(self, recording: dict) -> None:
        self.recordings.append(recording)

    async def close(self) -> None:
        pass


class ObjectResponse(io.BytesIO):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.headers = {"Content-Length": str(len(data)), "content-length": str(len(data))}

    def stream(self, amt=65536, decode_content=None):
        while chunk := self.read(amt):
            yield chunk

    def release_conn(self) -> None:
        pass


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.failing: dict[str, BaseException] = {}
        self.failing_puts: dict[str, BaseException] = {}
        self.paths: list[tuple[str, str]] = []

    def keys(self, bucket: str) -> list[str]:
        return sorted(key for b, key in self.objects if b == bucket)

    def used_paths(self, key: str) -> list[str]:
        return [path for name, path in self.paths if key in name]

    def bucket_exists(self, bucket_name):
        return True

    def stat_object(self, bucket_name, object_name, **options):
        data = self._data(bucket_name, object_name)
        return SimpleNamespace(bucket_name=bucket_name, object_name=object_name, size=len(data), content_type="audio/wav")

    def get_object(self, bucket_name, object_name, **options):
        return ObjectResponse(self._data(bucket_name, object_name))

    def fget_object(self, bucket_name, object_name, file_path, **options):
        self.paths.append((object_name, os.fspath(file_path)))
        data = self._data(bucket_name, object_name)
        with open(file_path, "wb") as fh:
            fh.write(data)
        return self.stat_object(bucket_name, object_name)

    def put_object(self, bucket_name, object_name, data, length, content_type="application/octet-stream", **options):
        if object_name in self.failing_puts:
            raise self.failing_puts[object_name]
        kept = bytearray()
        left = length if length >= 0 else None
        while left is None or left > 0:
            chunk = data.read(1 << 20 if left is None else min(left, 1 << 20))
            if not chunk:
                break
            if len(kept) < 1 << 24:
                kept += chunk
            if left is not None:
                left -= len(chunk)
        self.objects[bucket_name, object_name] = bytes(kept)

    def fput_object(self, bucket_name, object_name, file_path, **options):
        self.paths.append((object_name, os.fspath(file_path)))
        if object_name in self.failing_puts:
            raise self.failing_puts[object_name]
        with open(file_path, "rb") as fh:
            self.objects[bucket_name, object_name] = fh.read()

    def copy_object(self, bucket_name, object_name, source, **options):
        self.objects[bucket_name, object_name] = self._data(source.bucket_name, source.object_name)

    def remove_object(self, bucket_name, object_name, **options):
        self.objects.pop((bucket_name, object_name), None)

    def list_objects(self, bucket_name, prefix=None, recursive=False, **options):
        for key in self.keys(bucket_name):
            if key.startswith(prefix or ""):
                yield self.stat_object(bucket_name, key)

    def _data(self, bucket: str, key: str) -> bytes:
        if key in self.failing:
            raise self.failing[key]
        try:
            return self.objects[bucket, key]
        except KeyError:
            raise s3_error("NoSuchKey", bucket, key) from None


class FakeRedis:
    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {}
        self.values: dict[str, str] = {}

    def set(self, name, value, ex=None, **options):
        self.values[name] = value

    def get(self, name):
        return self.values.get(name)

    def lpush(self, name, *values):
        for value in values:
            self.lists.setdefault(name, []).insert(0, value)

    def lrem(self, name, count, value):
        self.lists.get(name, []).remove(value)

    def pipeline(self, transaction=True):
        return contextlib.nullcontext(self)

    def execute(self):
        return []

    def close(self):
        pass


class FakeAsyncRedis:
    def __init__(self, store: FakeRedis) -> None:
        self.store = store

    async def lpush(self, name, *values):
        self.store.lpush(name, *values)

    async def aclose(self):
        pass

    close = aclose


class FakePostgres:
    """Every statement is answered by `rows(sql, params)`; connections behave like psycopg2's."""

    def __init__(self) -> None:
        self.connections: list[FakeConnection] = []
        self.rows = lambda sql, params: []

    def connect(self, *args, **options):
        connection = FakeConnection(self)
        self.connections.append(connection)
        return connection

    @property
    def open(self) -> int:
        return sum(not connection.closed for connection in self.connections)

    @property
    def committed(self) -> list[str]:
        return [sql for connection in self.connections for sql in connection.committed]


class FakeConnection:
    def __init__(self, db: FakePostgres) -> None:
        self.db = db
        self.closed = 0
        self.pending: list[str] = []
        self.committed: list[str] = []
        self._autocommit = False

    @property
    def autocommit(self):
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value):
        self._autocommit = value

    @property
    def info(self):
        status = psycopg2.extensions.TRANSACTION_STATUS_INTRANS if self.pending else psycopg2.extensions.TRANSACTION_STATUS_IDLE
        return SimpleNamespace(transaction_status=status)

    def cursor(self, name=None, **options):
        self._alive()
        return FakeCursor(self)

    def commit(self):
        self._alive()
        self.committed += self.pending
        self.pending = []

    def rollback(self):
        self._alive()
        self.pending = []

    def close(self):
        self.closed = 1
        self.pending = []

    def _alive(self):
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")

    def __enter__(self):
        self._alive()
        return self

    def __exit__(self, exc_type, exc, tb):
        if exc_type is None:
            self.commit()
        else:
            self.rollback()


class FakeCursor:
    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.result: list = []
        self.rowcount = -1

    def execute(self, sql, params=None):
        self.connection._alive()
        self.result = list(self.connection.db.rows(sql, params))
        self.rowcount = len(self.result)
        (self.connection.committed if self.connection.autocommit else self.connection.pending).append(sql)

    def fetchone(self):
        self.connection._alive()
        return self.result.pop(0) if self.result else None

    def fetchall(self):
        self.connection._alive()
        result, self.result = self.result, []
        return result

    def __iter__(self):
        return iter(self.fetchall())

    def close(self):
        self.result = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


def stub_whisper(monkeypatch):
    """faster-whisper whose model hands the audio (path or open file) to `hear`."""
    module = types.ModuleType("faster_whisper")
    stub = SimpleNamespace(hear=lambda fh: fh.read())

    class WhisperModel:
        def __init__(self, *args, **options):
            pass

        def transcribe(self, audio, **options):
            if isinstance(audio, (str, os.PathLike)):
                with open(audio, "rb") as fh:
                    stub.hear(fh)
            else:
                stub.hear(audio)
            segment = SimpleNamespace(start=0.0, end=1.0, text="xin chào", avg_logprob=-0.1)
            return iter([segment]), SimpleNamespace(language="vi")

    module.WhisperModel = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    return stub


def stub_watchfiles(monkeypatch):
    """watchfiles whose first round of changes is what `changes()` returns; then nothing more happens."""

    class Change(IntEnum):
        added = 1
        modified = 2
        deleted = 3

    module = types.ModuleType("watchfiles")
    stub = SimpleNamespace(Change=Change, changes=set, started=0)

    async def awatch(*paths, **options):
        stub.started += 1
        found = stub.changes()
        if found:
            yield found
        stop = options.get("stop_event")
        while stop is None or not stop.is_set():
            await real_sleep(0.01)

    class BaseFilter:
        def __init__(self, *args, **options):
            pass

        def __call__(self, change, path):
            return True

    module.awatch = awatch
    module.Change = Change
    module.BaseFilter = module.DefaultFilter = BaseFilter
    monkeypatch.setitem(sys.modules, "watchfiles", module)
    return stub


async def run_until(coroutine, condition, seconds: float = 6.0) -> None:
    """Run an endless coroutine until the condition holds or the time is over."""
    task = asyncio.ensure_future(coroutine)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition() and not task.done() and loop.time() < end:
        await real_sleep(0.01)
    task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(result, Exception):
        raise result


class VirtualWav(io.RawIOBase):
    """A valid WAV file of 3 GiB that is nowhere."""

    total = 3 * 1024**3

    def __init__(self) -> None:
        head = bytearray(wav_bytes(1.0)[:44])
        head[4:8] = (self.total - 8).to_bytes(4, "little")
        head[40:44] = (self.total - 44).to_bytes(4, "little")
        self._head = bytes(head)
        self._at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def writable(self):
        return True

    def read(self, size=-1):
        left = self.total - self._at
        if size is None or size < 0 or size > 1 << 28:
            raise MemoryError("the upload is read into memory as a whole")
        size = min(size, left)
        data = (self._head[self._at:] if self._at < len(self._head) else b"").ljust(size, b"\0")[:size]
        self._at += size
        return data

    def write(self, data):
        return len(data)

    def seek(self, offset, whence=0):
        self._at = {0: 0, 1: self._at, 2: self.total}[whence] + offset
        return self._at

    def tell(self):
        return self._at


@contextlib.contextmanager
def huge_uploads(monkeypatch):
    """Within the block every uploaded file looks like one of 3 GiB."""
    import starlette.formparsers
    from starlette.datastructures import UploadFile

    class HugeUpload(UploadFile):
        def __init__(self, file, **options):
            super().__init__(VirtualWav(), **options)

        async def write(self, data):
            pass

        @property
        def size(self):
            return VirtualWav.total

        @size.setter
        def size(self, value):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(starlette.formparsers, "UploadFile", HugeUpload)
        yield


def check_upload(monkeypatch, post, stored) -> None:
    """`post(name, content, type)` uploads a file; `stored()` are the contents of all objects in the store."""
    good = wav_bytes(1.5)
    answer = post("interview.wav", good, "audio/wav")
    assert 200 <= answer.status_code < 300, f"a valid WAV file is refused: {answer.status_code} {answer.text}"
    assert good in stored()
    before = stored()

    program = b"MZ\x90\x00\x03" + b"\x00\x7f" * 4000
    page = b"<!DOCTYPE html><html><script>alert(1)</script></html>" * 20
    for what, name, content, content_type in (
        ("a program", "setup.exe", program, "application/x-msdownload"),
        ("a text", "notes.txt", b"shopping list " * 50, "text/plain"),
        ("a program that claims to be a WAV file", "song.wav", program, "audio/wav"),
        ("a page that claims to be a WAV file", "song.wav", page, "audio/wav"),
        ("an empty file", "song.wav", b"", "audio/wav"),
    ):
        answer = post(name, content, content_type)
        assert 400 <= answer.status_code < 500, f"{what} is accepted: {answer.status_code}"
        assert stored() == before, f"{what} is stored"

    with huge_uploads(monkeypatch):
        answer = post("long.wav", good, "audio/wav")
    assert 400 <= answer.status_code < 500, f"a file of 3 GiB is accepted: {answer.status_code}"
    assert stored() == before, "a file of 3 GiB is stored"
