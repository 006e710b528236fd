"""Runs the service against fakes: its own time, its own FAL.ai, its own Supabase."""
import asyncio
import logging
import selectors
import sys
import threading
import time
import traceback
from types import SimpleNamespace

import httpx
import jwt
import pytest
from hidden_fakes import FakeFal, FakeSupabase

USER_ID = "6f1c7a52-6f0e-4d1a-9a53-6a2b4f4f1d11"
SECRET = "current-secret-with-enough-characters"
REQUEST = {"model_id": "fal-ai/flux/dev", "prompt": "a lighthouse at dusk"}
URL = "/api/v1/generations"

real_monotonic = time.monotonic


class Hang(Exception):
    """Nothing is left that could ever wake the program up."""


class VirtualSelector(selectors.DefaultSelector):
    skipped = 0.0

    def select(self, timeout=None):
        events = super().select(0)
        if events or timeout == 0:
            return events
        deadline = real_monotonic() + (0.25 if threading.active_count() > 1 else 0)
        while real_monotonic() < deadline:
            events = super().select(0.01)
            if events:
                return events
        if timeout is None:
            events = super().select(1.5)
            if not events:
                raise Hang("the event loop waits for ever")
            return events
        self.skipped += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose pauses take no time."""

    def __init__(self):
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self):
        return real_monotonic() + self._virtual.skipped


def run_virtual(main, monkeypatch):
    """Run `main()` (a coroutine function) with pauses that take no time; all clocks agree."""
    loop = VirtualLoop()
    epoch = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", loop.time)
        patch.setattr(time, "perf_counter", loop.time)
        patch.setattr(time, "time", lambda base=epoch: base() + loop._virtual.skipped)
        shift_datetimes(patch, loop)
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(main())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            asyncio.set_event_loop(None)


def shift_datetimes(patch, loop):
    import datetime as module

    class Shifted(module.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + module.timedelta(seconds=loop._virtual.skipped)

    for name in ("services.generation_service", "services.fal_service"):
        if getattr(sys.modules.get(name), "datetime", None) is module.datetime:
            patch.setattr(sys.modules[name], "datetime", Shifted)


class Records(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def text(self):
        parts = []
        for record in self.records:
            parts.append(record.getMessage())
            if record.exc_info and record.exc_info[0]:
                parts.append("".join(traceback.format_exception(*record.exc_info)))
        return "\n".join(parts)


class World:
    """The application with its fakes."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.supabase = FakeSupabase()
        self.supabase.add_profile(USER_ID, credits=100_000)
        self.fal = FakeFal()
        self.hang_on = lambda request: False
        self.fal_calls = 0
        self.logs = Records()

        import main  # noqa: F401
        from database import db
        import services.fal_service as fal_module
        import services.generation_service as generation_module
        import services.storage_service as storage_module

        self.db, self.app, self.module = db, main.app, generation_module
        self.fal_service = fal_module.fal_service
        self.service = generation_module.generation_service
        getattr(self.service, "_tasks", set()).clear()
        monkeypatch.setattr(db, "client", self.supabase)

        def fetch(self_, url, target):
            target.write(b"data")
            target.seek(0)
            return "image/png", 4

        monkeypatch.setattr(storage_module.StorageService, "_fetch", fetch)

        async def to_thread(function, *args, **kwargs):
            return function(*args, **kwargs)

        monkeypatch.setattr(asyncio, "to_thread", to_thread)
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", self._serve())

        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self.logs)
        self._undo = lambda: (root.removeHandler(self.logs), root.setLevel(level))

    def mask_missing_names(self):
        """`time` in generation_service is a bug of its own."""
        if not hasattr(self.module, "time"):
            self.monkeypatch.setattr(self.module, "time", time, raising=False)

    def _serve(self):
        world = self

        async def handle(transport, request):
            world.fal_calls += 1
            await request.aread()
            if world.hang_on(request):
                limit = (request.extensions.get("timeout") or {}).get("read")
                if limit is None:
                    await asyncio.Event().wait()
                await asyncio.sleep(limit)
                raise httpx.ReadTimeout("read timed out", request=request)
            response = world.fal(request)
            response.request = request
            return httpx.Response(response.status_code, content=response.content, headers=response.headers)

        return handle

    async def start(self):
        from config import get_settings

        started = self.fal_service.start(get_settings())
        if asyncio.iscoroutine(started):
            await started

    async def create(self, **values):
        from models.generation import GenerationCreate

        return await self.service.create_generation(USER_ID, GenerationCreate(**{**REQUEST, **values}))

    def row(self, generation_id):
        return next(row for row in self.supabase.tables["generations"] if row["id"] == generation_id)

    def client(self):
        from fastapi.testclient import TestClient

        return TestClient(self.app, raise_server_exceptions=False)

    def close(self):
        self._undo()


def make_token(user_id=USER_ID, secret=SECRET):
    payload = {"sub": user_id, "aud": "authenticated", "exp": int(time.time()) + 3600}
    return jwt.encode(payload, secret, algorithm="HS256")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def world(monkeypatch):
    world = World(monkeypatch)
    world.mask_missing_names()
    yield world
    world.close()
