import asyncio
import os
import ssl
import time
from datetime import datetime, timedelta, timezone
from typing import Any

os.environ.update(
    SUPABASE_URL="https://supabase.test",
    SUPABASE_SERVICE_KEY="service-key",
    SUPABASE_JWT_SECRET="a-secret-for-tests-that-is-long-enough",
    REDIS_URL="redis://redis.test:6379/0",
    OPENROUTER_API_KEY="openrouter-key",
    APIFY_API_TOKEN="apify-token",
    REDDIT_CLIENT_ID="reddit-id",
    REDDIT_CLIENT_SECRET="reddit-secret",
    RESEND_API_KEY="resend-key",
    ALERT_SENDER="alerts@bc-rao.test",
    FRONTEND_ORIGINS="http://localhost:3000",
)

import httpx
import jwt
import pytest
import redis
from fastapi.testclient import TestClient

USER_ID = "11111111-1111-4111-8111-111111111111"
OTHER_ID = "22222222-2222-4222-8222-222222222222"
CAMPAIGN_ID = "33333333-3333-4333-8333-333333333333"
DRAFT_ID = "44444444-4444-4444-8444-444444444444"

DRAFT_TEXT = "We just launched a tool for bakers. Check it out: https://dough.test and sign up!"


class FakeRedis:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def setex(self, key: str, ttl: int, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    def close(self) -> None:
        pass


class FakeWeb:
    """Everything that the services ask for over HTTP."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.posts: dict[str, str] = {}
        self.mail_status = [200]
        self.scraped: dict[str, list[dict[str, Any]]] = {}
        self.completion: dict[str, Any] = {
            "model": "anthropic/claude-3.5-sonnet",
            "choices": [{"message": {"content": "Title: My sourdough year\nIt rose. " * 3}}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.0105},
        }
        self.completion_status = [200]
        self.reddit_status = [200]

    def to(self, host: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.host == host]

    @staticmethod
    def _next(statuses: list[int]) -> int:
        return statuses.pop(0) if len(statuses) > 1 else statuses[0]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        host, path = request.url.host, request.url.path
        if host == "api.resend.com":
            return httpx.Response(self._next(self.mail_status), json={"id": "mail"})
        if host == "openrouter.ai":
            return httpx.Response(self._next(self.completion_status), json=self.completion)
        if host == "api.apify.com":
            subreddit = request.content.decode().partition("/r/")[2].partition("/")[0]
            if subreddit not in self.scraped:
                return httpx.Response(502, json={"error": "actor failed"})
            return httpx.Response(201, json=self.scraped[subreddit])
        if path == "/api/v1/access_token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if host == "oauth.reddit.com":
            status = self._next(self.reddit_status)
            if status != 200:
                return httpx.Response(status)
            state = self.posts.get(request.url.params["id"].removeprefix("t3_"), "deleted")
            category = "moderator" if state == "removed" else None
            child = {"kind": "t3", "data": {"removed_by_category": category}}
            children = [] if state == "deleted" else [child]
            return httpx.Response(200, json={"data": {"children": children}})
        if host == "www.reddit.com":
            post_id = path.removeprefix("/comments/").removesuffix(".json")
            if self.posts.get(post_id) == "visible":
                return httpx.Response(200, json=[{"kind": "Listing"}])
            return httpx.Response(404)
        raise AssertionError(f"unexpected request to {request.url}")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> FakeWeb:
    fake = FakeWeb()

    def handle(transport: Any, request: httpx.Request) -> httpx.Response:
        request.read()
        return fake.answer(request)

    async def handle_async(transport: Any, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return fake.answer(request)

    real_sleep = asyncio.sleep
    # loading the certificates takes longer than all the rest of a test
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda *args, **options: context)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    # Retries and polls do not wait; what sleeps for minutes keeps sleeping
    monkeypatch.setattr(
        asyncio, "sleep", lambda seconds: real_sleep(0.001 if seconds < 60 else seconds)
    )
    return fake


@pytest.fixture
def fake_redis(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    from app.workers import task_runner

    fake = FakeRedis()
    monkeypatch.setattr(redis, "from_url", lambda url, **options: fake)
    monkeypatch.setattr(task_runner, "_redis_client", None)
    return fake


@pytest.fixture
def db():
    """A fresh database with a user, a campaign and a draft."""
    from app.config import get_settings
    from app.integrations.supabase_client import get_supabase_client
    from app.workers.monitoring_worker import get_reddit_client

    for cached in (get_settings, get_supabase_client, get_reddit_client):
        cached.cache_clear()
    client = get_supabase_client()
    client.table("profiles").insert(
        {"id": USER_ID, "email": "baker@dough.test", "full_name": "B. Aker"}
    ).execute()
    client.table("campaigns").insert(
        {
            "id": CAMPAIGN_ID,
            "user_id": USER_ID,
            "name": "Sourdough",
            "product_context": "A timer for bakers",
            "keywords": ["dough"],
            "target_subreddits": ["Breadit", "Sourdough"],
            "status": "active",
        }
    ).execute()
    client.table("generated_drafts").insert(
        {
            "id": DRAFT_ID,
            "campaign_id": CAMPAIGN_ID,
            "user_id": USER_ID,
            "subreddit": "Breadit",
            "archetype": "Journey",
            "title": "A year of bread",
            "body": DRAFT_TEXT,
            "model_used": "anthropic/claude-3.5-sonnet",
        }
    ).execute()
    return client


@pytest.fixture
def client(db, fake_redis, web):
    from app.main import app

    claims = {
        "sub": USER_ID,
        "aud": "authenticated",
        "exp": datetime.now(timezone.utc) + timedelta(minutes=10),
    }
    token = jwt.encode(claims, os.environ["SUPABASE_JWT_SECRET"], algorithm="HS256")
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as test_client:
        yield test_client


@pytest.fixture
def monitored(db):
    """Insert a monitored post that is due; overrides as keyword arguments."""

    def insert(**overrides: Any) -> dict[str, Any]:
        now = datetime.now(timezone.utc)
        row = {
            "user_id": USER_ID,
            "campaign_id": CAMPAIGN_ID,
            "draft_id": DRAFT_ID,
            "reddit_post_id": "abc123",
            "reddit_post_url": "https://www.reddit.com/r/Breadit/comments/abc123/bread/",
            "reddit_username": "baker_b",
            "subreddit": "Breadit",
            "account_status": "New",
            "status": "Active",
            "check_interval_hours": 1,
            "total_checks": 0,
            "last_check_at": None,
            "last_check_status": None,
            "submitted_at": (now - timedelta(hours=2)).isoformat(),
            "next_check_at": (now - timedelta(minutes=5)).isoformat(),
        } | overrides
        return db.table("shadow_table").insert(row).execute().data[0]

    return insert
