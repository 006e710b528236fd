"""Imports the target fresh for every test, with its surroundings replaced.

REPO_ROOT names the repository (default: ../repo).
"""

import asyncio
import importlib
import os
import ssl
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import jwt
import pytest
import redis

import fake_supabase

REPO_ROOT = Path(os.environ.get("REPO_ROOT") or Path(__file__).parents[1] / "repo").resolve()
API = REPO_ROOT / "bc-rao-api"

ENVIRONMENT = {
    "SUPABASE_URL": "https://supabase.test",
    "SUPABASE_SERVICE_KEY": "service-key",
    "SUPABASE_JWT_SECRET": "a-secret-for-tests-that-is-long-enough",
    "REDIS_URL": "redis://redis.test:6379/0",
    "OPENROUTER_API_KEY": "openrouter-key",
    "APIFY_API_TOKEN": "apify-token",
    "REDDIT_CLIENT_ID": "reddit-id",
    "REDDIT_CLIENT_SECRET": "reddit-secret",
    "RESEND_API_KEY": "resend-key",
    "ALERT_SENDER": "alerts@bc-rao.test",
    "FRONTEND_ORIGINS": "http://localhost:3000",
}

USER = "11111111-1111-4111-8111-111111111111"
CAMPAIGN = "33333333-3333-4333-8333-333333333333"
DRAFT = "44444444-4444-4444-8444-444444444444"
DRAFT_TEXT = "We just launched a tool for bakers. Check it out: https://dough.test and sign up!"


class FakeRedis:
    """A connection pool that remembers whether it was closed."""

    opened = []

    def __init__(self):
        self.values, self.closed = {}, False
        self.connection_pool = self
        FakeRedis.opened.append(self)

    def setex(self, key, ttl, value):
        self.values[key] = value

    def set(self, key, value, **options):
        self.values[key] = value

    def get(self, key):
        return self.values.get(key)

    def delete(self, *keys):
        for key in keys:
            self.values.pop(key, None)

    def ping(self):
        return True

    def close(self):
        self.closed = True

    disconnect = close

    async def aclose(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class FakeWeb:
    """Reddit, Apify, OpenRouter and Resend; lists of statuses are used up one a request."""

    def __init__(self):
        self.requests = []
        self.posts = {}
        self.token_status = []
        self.apify = []
        self.scraped = {}
        self.mail_status = []
        self.completion_headers = {}
        self.generation_cost = None
        self.completion = {
            "id": "gen-1",
            "model": "anthropic/claude-3.5-sonnet",
            "choices": [{"message": {"role": "assistant", "content": "Title: Bread\nIt rose well."}}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
        }

    def to(self, host):
        return [request for request in self.requests if request.url.host == host]

    @property
    def mails(self):
        return self.to("api.resend.com")

    def answer(self, request):
        self.requests.append(request)
        host, path = request.url.host, request.url.path
        if host == "api.resend.com":
            status = self.mail_status.pop(0) if self.mail_status else 200
            return httpx.Response(status, json={"id": "mail"})
        if host == "openrouter.ai":
            if path.endswith("/generation"):
                if self.generation_cost is None:
                    return httpx.Response(404, json={"error": {"message": "not found"}})
                return httpx.Response(
                    200, json={"data": {"id": "gen-1", "total_cost": self.generation_cost}}
                )
            return httpx.Response(200, json=self.completion, headers=self.completion_headers)
        if host == "api.apify.com":
            step = self.apify.pop(0) if self.apify else 201
            if isinstance(step, Exception):
                raise step
            if step >= 400:
                return httpx.Response(step, json={"error": {"message": "actor failed"}})
            text = request.content.decode()
            name = text.partition("reddit.com/r/")[2].partition("/")[0].partition('"')[0]
            return httpx.Response(201, json=self.scraped.get(name, []))
        if path == "/api/v1/access_token":
            step = self.token_status.pop(0) if self.token_status else 200
            if isinstance(step, Exception):
                raise step
            if step != 200:
                return httpx.Response(step, text="upstream error")
            return httpx.Response(
                200, json={"access_token": "t", "token_type": "bearer", "expires_in": 3600}
            )
        if host == "oauth.reddit.com":
            state = self.posts.get(request.url.params["id"].removeprefix("t3_"), "deleted")
            category = "moderator" if state == "removed" else None
            child = {"kind": "t3", "data": {"removed_by_category": category}}
            return httpx.Response(
                200, json={"data": {"children": [] if state == "deleted" else [child]}}
            )
        if host == "www.reddit.com":
            post_id = path.removeprefix("/comments/").removesuffix(".json")
            if self.posts.get(post_id) == "visible":
                return httpx.Response(200, json=[{"kind": "Listing"}])
            return httpx.Response(404)
        raise httpx.ConnectError(f"no such host: {host}", request=request)


class Target:
    """The imported repository and what surrounds it."""

    def __init__(self, db, web):
        self.db, self.web = db, web

    def module(self, name):
        return importlib.import_module(name)

    @property
    def headers(self):
        claims = {
            "sub": USER,
            "aud": "authenticated",
            "exp": datetime.now(timezone.utc) + timedelta(minutes=10),
        }
        token = jwt.encode(claims, os.environ["SUPABASE_JWT_SECRET"], algorithm="HS256")
        return {"Authorization": f"Bearer {token}"}

    def client(self, **options):
        from fastapi.testclient import TestClient

        return TestClient(self.module("app.main").app, headers=self.headers, **options)

    def monitored(self, **overrides):
        now = datetime.now(timezone.utc)
        return self.db.put(
            "shadow_table",
            **{
                "user_id": USER,
                "campaign_id": CAMPAIGN,
                "draft_id": DRAFT,
                "reddit_post_id": "abc123",
                "reddit_post_url": "https://www.reddit.com/r/Breadit/comments/abc123/bread/",
                "reddit_username": "baker_b",
                "subreddit": "Breadit",
                "account_status": "New",
                "status": "Active",
                "check_interval_hours": 1,
                "total_checks": 0,
                "submitted_at": (now - timedelta(hours=2)).isoformat(),
                "next_check_at": (now - timedelta(minutes=5)).isoformat(),
            }
            | overrides,
        )

    def run_checks(self):
        """One monitoring cycle, the way the scheduler starts it."""
        return asyncio.run(self.module("app.workers.task_runner").dispatch_due_checks())

    def make_due(self):
        past = (datetime.now(timezone.utc) - timedelta(minutes=5)).isoformat()
        for row in self.db.rows("shadow_table"):
            row["next_check_at"] = past

    def check_until_flagged(self):
        """A shadowban shows after two failed checks in a row at the latest."""
        for _ in range(2):
            self.make_due()
            self.run_checks()


@pytest.fixture
def target(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in [m for m in sys.modules if m == "app" or m.startswith("app.")]:
        monkeypatch.delitem(sys.modules, name)
    db = fake_supabase.Client(
        fake_supabase.read_schema(API / "supabase" / "migrations"), threading.RLock()
    )
    for name, module in fake_supabase.stub_modules(db).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.syspath_prepend(str(API))

    FakeRedis.opened = []
    for owner in (redis, redis.Redis, redis.StrictRedis):
        monkeypatch.setattr(owner, "from_url", lambda url, **options: FakeRedis())

    web = FakeWeb()

    def handle(transport, request):
        request.read()
        return web.answer(request)

    async def handle_async(transport, request):
        await request.aread()
        return web.answer(request)

    real_sleep, real_async_sleep = time.sleep, asyncio.sleep

    async def async_sleep(delay, result=None):
        # retries and polls do not wait; what sleeps for minutes keeps sleeping
        return await real_async_sleep(0.001 if delay < 60 else delay, result)

    # loading the certificates takes longer than all the rest of a test
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda *args, **options: context)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
    monkeypatch.setattr(asyncio, "sleep", async_sleep)
    monkeypatch.setattr(time, "sleep", lambda delay: real_sleep(min(delay, 0.001)))

    db.put("profiles", id=USER, email="baker@dough.test", full_name="B. Aker")
    db.put(
        "campaigns",
        id=CAMPAIGN,
        user_id=USER,
        name="Sourdough",
        product_context="A timer for bakers",
        keywords=["dough"],
        target_subreddits=["Breadit", "Sourdough"],
    )
    db.put(
        "generated_drafts",
        id=DRAFT,
        campaign_id=CAMPAIGN,
        user_id=USER,
        subreddit="Breadit",
        archetype="Journey",
        title="A year of bread",
        body=DRAFT_TEXT,
        model_used="anthropic/claude-3.5-sonnet",
    )
    yield Target(db, web)
    for name in [m for m in sys.modules if m == "app" or m.startswith("app.")]:
        sys.modules.pop(name, None)
