"""In-memory stand-ins for MinIO, Redis and PostgreSQL."""
import fnmatch
import io
import wave
from types import SimpleNamespace

from minio.error import S3Error


def wav_bytes(seconds: float = 1.0, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(b"\x01\x02" * int(seconds * rate))
    return buffer.getvalue()


def s3_error(code: str, bucket: str, key: str) -> S3Error:
    return S3Error(None, code, f"{code} for {key}", key, "request", "host", bucket_name=bucket, object_name=key)


class ObjectResponse(io.BytesIO):
    """What MinIO's get_object returns."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.headers = {"Content-Length": str(len(data))}
        self.released = False

    def stream(self, amt=65536, decode_content=None):
        while chunk := self.read(amt):
            yield chunk

    def release_conn(self) -> None:
        self.released = True


class NoEvents:
    """What MinIO's listen_bucket_notification returns, of a bucket in which nothing happens."""

    def __iter__(self):
        return iter(())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.failing: dict[str, Exception] = {}
        self.responses: list[ObjectResponse] = []

    def keys(self, bucket: str, pattern: str = "*") -> list[str]:
        return sorted(key for b, key in self.objects if b == bucket and fnmatch.fnmatch(key, pattern))

    def stat_object(self, bucket_name, object_name, **options):
        data = self._data(bucket_name, object_name)
        return SimpleNamespace(bucket_name=bucket_name, object_name=object_name, size=len(data), content_type="audio/wav")

    def get_object(self, bucket_name, object_name, **options):
        response = ObjectResponse(self._data(bucket_name, object_name))
        self.responses.append(response)
        return response

    def fget_object(self, bucket_name, object_name, file_path, **options):
        data = self._data(bucket_name, object_name)
        with open(file_path, "wb") as fh:
            fh.write(data)
        return self.stat_object(bucket_name, object_name)

    def put_object(self, bucket_name, object_name, data, length, content_type="application/octet-stream", **options):
        self.objects[bucket_name, object_name] = data.read() if length < 0 else data.read(length)

    def fput_object(self, bucket_name, object_name, file_path, **options):
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

    def listen_bucket_notification(self, bucket_name, prefix="", suffix="", events=()):
        return NoEvents()

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
        self.closed = False

    def set(self, name, value, ex=None):
        self.values[name] = value

    def get(self, name):
        return self.values.get(name)

    def lpush(self, name, *values):
        for value in values:
            self.lists.setdefault(name, []).insert(0, value)

    def lrem(self, name, count, value):
        self.lists.get(name, []).remove(value)

    def lmove(self, first_list, second_list, src="LEFT", dest="RIGHT"):
        items = self.lists.get(first_list)
        if not items:
            return None
        value = items.pop(0 if src == "LEFT" else -1)
        self.lists.setdefault(second_list, []).insert(0 if dest == "LEFT" else len(self.lists[second_list]), value)
        return value

    def blmove(self, first_list, second_list, timeout, src="LEFT", dest="RIGHT"):
        return self.lmove(first_list, second_list, src, dest)

    def pipeline(self, transaction=True):
        return self

    def execute(self):
        return []

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


class FakeAsyncRedis:
    """The same data behind the asyncio interface."""

    def __init__(self, store: FakeRedis) -> None:
        self.store = store

    async def lpush(self, name, *values):
        self.store.lpush(name, *values)

    async def aclose(self):
        self.store.close()


class FakePostgres:
    """Answers statements from a script: the first entry whose text occurs in the statement counts."""

    def __init__(self) -> None:
        self.script: list[tuple[str, object]] = []
        self.statements: list[tuple[str, object]] = []
        self.connections: list[FakeConnection] = []

    def answer(self, text: str, rows) -> None:
        self.script.append((text, rows))

    def connect(self, *args, **options):
        connection = FakeConnection(self)
        self.connections.append(connection)
        return connection

    def sent(self, text: str) -> list:
        return [params for sql, params in self.statements if text in sql]


class FakeConnection:
    def __init__(self, db: FakePostgres) -> None:
        self.db = db
        self.autocommit = False
        self.info = SimpleNamespace(transaction_status=0)
        self.closed = 0
        self.commits = self.rollbacks = 0

    def cursor(self, name=None, **options):
        return FakeCursor(self.db)

    def commit(self):
        self.commits += 1

    def rollback(self):
        self.rollbacks += 1

    def close(self):
        self.closed = 1

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        if exc_type is None:
            self.commit()
        else:
            self.rollback()


class FakeCursor:
    def __init__(self, db: FakePostgres) -> None:
        self.db = db
        self.rows: list = []
        self.rowcount = -1

    def execute(self, sql, params=None):
        self.db.statements.append((sql, params))
        self.rows = []
        for text, rows in self.db.script:
            if text in sql:
                if isinstance(rows, Exception):
                    raise rows
                self.rows = list(rows)
                break
        self.rowcount = len(self.rows)

    def fetchone(self):
        return self.rows.pop(0) if self.rows else None

    def fetchall(self):
        rows, self.rows = self.rows, []
        return rows

    def __iter__(self):
        return iter(self.fetchall())

    def close(self):
        self.rows = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None
