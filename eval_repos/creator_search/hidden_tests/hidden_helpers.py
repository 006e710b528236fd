"""Loads the application afresh, with or without the parts that other bugs break."""
import builtins
import importlib
import inspect
import json
import logging
import os
import sys
import time
import traceback

import fastapi
import jwt
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

USER_ID = "b9d7f0a4-53c5-4a1e-a0a3-0a6f1a5b0c01"
EMAIL = "grace.hopper@example.com"
STATS = "/api/v1/simple/creator/system/stats"
UNLOCKED = "/api/v1/simple/creator/unlocked"
SIMPLE = "app.api.simple_creator_search_routes"


@event.listens_for(Engine, "connect")
def without_waiting_for_the_disk(connection, record):
    if "sqlite" in type(connection).__module__:
        connection.execute("pragma synchronous = off")


def forget():
    for name in [name for name in sys.modules if name == "main" or name == "app" or name.startswith("app.")]:
        del sys.modules[name]


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
    def __init__(self):
        self.sessions = []

    def load(self, with_query=True, name="main"):
        """Import the application; `with_query` hides the missing import of the simple routes."""
        forget()
        if with_query:
            builtins.Query = fastapi.Query
        try:
            module = importlib.import_module(name)
        finally:
            if with_query:
                del builtins.Query
        connection = importlib.import_module("app.database.connection")
        models = importlib.import_module("app.database.models")
        engine = connection.get_engine()
        models.Base.metadata.drop_all(engine)
        models.Base.metadata.create_all(engine)
        self.engine, self.models, self.connection = engine, models, connection
        self.main = module if name == "main" else None
        return module

    def session(self):
        from sqlalchemy.orm import Session

        session = Session(self.engine, expire_on_commit=False)
        self.sessions.append(session)
        return session

    def fill(self):
        from app.core.clock import utcnow

        now = utcnow()
        m = self.models
        with self.session() as session:
            ada = m.Profile(username="ada", followers_count=1000, ai_analyzed_at=now, updated_at=now)
            bob = m.Profile(username="bob", followers_count=10, updated_at=now)
            user = m.User(id=USER_ID, email=EMAIL, credits=60, created_at=now)
            session.add_all([ada, bob, user])
            session.flush()
            session.add(m.Post(profile_id=ada.id, likes_count=30, comments_count=10, posted_at=now))
            session.add(m.UnlockedProfile(user_id=USER_ID, profile_id=ada.id, credits_spent=25, unlocked_at=now))
            session.commit()

    def client(self):
        from fastapi.testclient import TestClient

        return TestClient(self.main.app, raise_server_exceptions=False)

    def close(self):
        for session in self.sessions:
            session.close()
        if hasattr(self, "connection"):
            self.connection.dispose_engine()
        forget()


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture
def logs():
    records, root = Records(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(records)
    yield records
    root.removeHandler(records)
    root.setLevel(level)


def auth(user_id=USER_ID, email=EMAIL):
    payload = {"sub": user_id, "email": email, "aud": "authenticated", "exp": int(time.time()) + 3600}
    return {"Authorization": f"Bearer {jwt.encode(payload, os.environ['SUPABASE_JWT_SECRET'], algorithm='HS256')}"}


def all_routes(routes, prefix=""):
    """(method, path, endpoint) of every route, included routers too, in the order of registration."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from all_routes(inner.routes, prefix + (getattr(route.include_context, "prefix", "") or ""))
        elif getattr(route, "methods", None) and getattr(route, "endpoint", None):
            for method in route.methods:
                yield method, prefix + route.path, route.endpoint


def call(function, *args):
    """(status, text) of an endpoint function that is called directly."""
    import asyncio

    try:
        result = function(*args)
        if inspect.isawaitable(result):
            result = asyncio.run(_wait(result))
    except fastapi.HTTPException as error:
        return error.status_code, json.dumps(error.detail, default=str)
    except Exception:
        return 500, ""
    if isinstance(result, fastapi.Response):
        return result.status_code, result.body.decode()
    return 200, json.dumps(result, default=str)


async def _wait(awaitable):
    return await awaitable


def compatibility_endpoint(main, name, path):
    """The compatibility endpoint of main.py, wherever it lives now; None when it is gone."""
    function = getattr(main, name, None)
    if function is not None:
        return function
    for method, route, endpoint in all_routes(main.app.routes):
        if (method, route) == ("GET", path) and endpoint.__module__ != SIMPLE:
            return endpoint
    return None
