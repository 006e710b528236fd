import importlib.util
import json
import os
from pathlib import Path

import minio
import psycopg2
import pytest
import redis
import redis.asyncio

from fakes import FakeAsyncRedis, FakePostgres, FakeRedis, FakeS3

SERVICES = Path(__file__).parents[1] / "services"
KEYS = {"user-2024": "u" * 40, "svc": "s" * 40}

os.environ.update(
    S3_ENDPOINT="minio:9000",
    S3_ACCESS_KEY="access",
    S3_SECRET_KEY="secret",
    REDIS_URL="redis://redis:6379/0",
    DB_URL="postgresql://ai2text@postgres/ai2text",
    INGESTION_URL="http://ingestion:8000",
    METADATA_URL="http://metadata:8000",
    TRAINING_URL="http://training:8000",
    JWT_KEYS=json.dumps(KEYS),
)


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def store():
    return FakeRedis()


@pytest.fixture
def db():
    return FakePostgres()


@pytest.fixture
def load(monkeypatch, tmp_path, s3, store, db):
    """Load a module of a service by its path, with fakes for everything that is outside the process."""
    monkeypatch.setattr(minio, "Minio", lambda *args, **options: s3)
    monkeypatch.setattr(redis.Redis, "from_url", staticmethod(lambda *args, **options: store))
    monkeypatch.setattr(redis.asyncio, "from_url", lambda *args, **options: FakeAsyncRedis(store))
    monkeypatch.setattr(psycopg2, "connect", db.connect)
    for name in ("HOT_FOLDER", "PROCESSED_FOLDER", "EXPORT_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))

    def load_module(path: str):
        name = path.removesuffix(".py").replace("/", "_").replace("-", "_")
        spec = importlib.util.spec_from_file_location(name, SERVICES / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_module
