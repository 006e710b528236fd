import asyncio
import os
import time

import httpx
import jwt
import pytest

os.environ.update(
    SUPABASE_URL="https://project.supabase.co",
    SUPABASE_SERVICE_KEY="service-key",
    SUPABASE_JWT_SECRETS="current=current-secret-with-enough-characters,old=previous-secret-with-enough-characters",
    FAL_KEY="fal-key",
    FAL_POLL_SECONDS="0",
)
os.environ.pop("WEBHOOK_URL", None)

from fastapi.testclient import TestClient  # noqa: E402

from database import db  # noqa: E402
from fakes import FakeFal, FakeSupabase  # noqa: E402
from main import app  # noqa: E402
from services.fal_service import FalService  # noqa: E402
from services.storage_service import StorageService  # noqa: E402

USER_ID = "6f1c7a52-6f0e-4d1a-9a53-6a2b4f4f1d11"
SECRET = "current-secret-with-enough-characters"


class Clock:
    """Stands in for the `time` module: moves one second with every look at it."""

    def __init__(self):
        self.now = 1_754_300_000.0

    def time(self):
        self.now += 1
        return self.now

    monotonic = perf_counter = __call__ = time


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("services.generation_service.time", clock, raising=False)
    return clock


@pytest.fixture
def supabase(monkeypatch):
    client = FakeSupabase()
    client.add_profile(USER_ID)
    monkeypatch.setattr(db, "client", client)
    return client


@pytest.fixture
def fal(monkeypatch):
    fake = FakeFal()
    client = httpx.AsyncClient(base_url="https://queue.fal.run", transport=httpx.MockTransport(fake), timeout=5)
    service = FalService()
    service._client = client
    monkeypatch.setattr("services.generation_service.fal_service", service)
    return fake


@pytest.fixture
def no_waiting(monkeypatch):
    """Skips every pause and records how long it would have been."""
    pauses, sleep = [], asyncio.sleep

    async def skip(seconds, result=None):
        pauses.append(seconds)
        await sleep(0)
        return result

    monkeypatch.setattr(asyncio, "sleep", skip)
    return pauses


@pytest.fixture
def outputs(monkeypatch):
    """Downloads of outputs succeed without a network."""

    def fetch(self, url, target):
        target.write(b"data of " + url.encode())
        target.seek(0)
        return ("video/mp4" if url.endswith("mp4") else "image/png"), 20

    monkeypatch.setattr(StorageService, "_fetch", fetch)


@pytest.fixture
def make_token():
    def make(user_id=USER_ID, secret=SECRET, lifetime=3600, headers=None, **claims):
        payload = {"sub": user_id, "aud": "authenticated", "exp": int(time.time()) + lifetime, **claims}
        return jwt.encode(payload, secret, algorithm="HS256", headers=headers)

    return make


@pytest.fixture
def client(supabase):
    return TestClient(app)


@pytest.fixture
def auth(make_token):
    return {"Authorization": f"Bearer {make_token()}"}
