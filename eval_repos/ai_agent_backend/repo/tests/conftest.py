import functools
import os
import ssl
import sys
import time

import fakes
import httpx
import pytest

fakes.install()
ssl.create_default_context = functools.cache(ssl.create_default_context)  # the CA bundle is slow to load
os.environ.update(
    JWT_SECRET_KEY="a-secret-that-only-the-tests-know-0123456789",
    SUPABASE_URL="https://supabase.test",
    SUPABASE_SERVICE_KEY="service-key",
    OPENAI_API_KEY="sk-test",
)
for name in ("REDIS_URL", "SENTRY_DSN", "POSTHOG_API_KEY", "ADMIN_API_ENABLED", "REQUEST_VALIDATION"):
    os.environ.pop(name, None)

from fastapi.testclient import TestClient  # noqa: E402
from sqlalchemy import Engine, event  # noqa: E402

from app.agents import ChatService  # noqa: E402
from app.config import Settings  # noqa: E402
from app.main import create_app  # noqa: E402
from app.supabase_client import SupabaseClient  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
AGENTS = [
    {"slug": "tutor", "name": "Tutor", "instructions": "You explain things.", "temperature": 0.2},
    {"slug": "coach", "name": "Coach", "instructions": "You motivate people."},
]


@event.listens_for(Engine, "connect")
def no_fsync(connection, record):
    connection.execute("PRAGMA synchronous = OFF")


class Supabase:
    """Answers of the REST API."""

    def __init__(self):
        self.requests = []
        self.down = False
        self.storage_status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("connection refused", request=request)
        self.requests.append((request.method, request.url.path, request.read()))
        if request.url.path == "/rest/v1/agents":
            slug = request.url.params.get("slug", "").removeprefix("eq.")
            return httpx.Response(200, json=[agent for agent in AGENTS if slug in ("", agent["slug"])])
        if request.url.path.startswith("/storage/"):
            return httpx.Response(self.storage_status, json={})
        return httpx.Response(201)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_DB_PATH", str(tmp_path / "agent.db"))
    monkeypatch.setenv("UPLOAD_DIR", str(tmp_path / "uploads"))
    monkeypatch.setenv("VIDEO_JOBS_DIR", str(tmp_path / "jobs"))
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "app.log"))
    monkeypatch.setenv("MAX_UPLOAD_MB", "1")
    return monkeypatch


@pytest.fixture
def settings(environment):
    return Settings.from_env()


@pytest.fixture
def supabase():
    return Supabase()


@pytest.fixture
def supabase_client(supabase):
    client = SupabaseClient("https://supabase.test", "service-key")
    client.close()
    client._http = httpx.Client(base_url="https://supabase.test", transport=httpx.MockTransport(supabase))
    yield client
    client.close()


@pytest.fixture
def model():
    return fakes.ModelClient()


@pytest.fixture
def app(settings, supabase_client, model):
    app = create_app(settings)
    state = app.state
    state.supabase.close()
    state.supabase = state.storage.remote = state.agents._supabase = supabase_client
    state.chat.close()
    state.chat = ChatService(state.db, state.storage.local, settings.openai_api_key, settings.openai_model, client=model)
    return app


@pytest.fixture
def client(app):
    with TestClient(app) as client:
        yield client


@pytest.fixture
def login(client):
    def login(email="ada@example.org", plan=None):
        client.post("/auth/register", json={"email": email, "password": "correct horse"}).raise_for_status()
        if plan is not None:
            user = client.app.state.db.get_user_by_email(email)
            client.app.state.db.set_plan(user.id, plan)
        token = client.post("/auth/login", json={"email": email, "password": "correct horse"}).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    return login


@pytest.fixture
def sentry():
    captured = sys.modules["sentry_sdk"].captured
    captured.clear()
    return captured


@pytest.fixture
def events():
    events = sys.modules["posthog"].events
    events.clear()
    return events
