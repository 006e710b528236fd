import os
import shutil
import tempfile
import time

import jwt
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

FOLDER = tempfile.mkdtemp(prefix="creator-search-tests-")
os.environ.update(
    DATABASE_URL=f"sqlite:///{FOLDER}/test.db",
    SUPABASE_JWT_SECRET="test-secret-of-more-than-thirty-two-characters",
)
os.environ.pop("ANALYSIS_URL", None)

from fastapi.testclient import TestClient  # noqa: E402

import main  # noqa: E402
from app.core.clock import utcnow  # noqa: E402
from app.database.connection import dispose_engine, get_engine, session_scope  # noqa: E402
from app.database.models import Base, Post, Profile, User  # noqa: E402
from app.resilience.database_breaker import database_breaker  # noqa: E402

USER_ID = "b9d7f0a4-53c5-4a1e-a0a3-0a6f1a5b0c01"
EMAIL = "grace@example.com"


def pytest_sessionfinish():
    dispose_engine()
    shutil.rmtree(FOLDER, ignore_errors=True)


@event.listens_for(Engine, "connect")
def without_waiting_for_the_disk(connection, record):
    connection.execute("pragma synchronous = off")


@pytest.fixture(scope="session")
def tables():
    engine = get_engine()
    Base.metadata.create_all(engine)
    return engine


@pytest.fixture(autouse=True)
def database(tables):
    yield tables
    with session_scope() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    database_breaker.reset()


@pytest.fixture
def session(database):
    with session_scope() as session:
        yield session


@pytest.fixture
def make_token():
    def make(user_id=USER_ID, email=EMAIL, lifetime=3600, secret=None, **claims):
        payload = {
            "sub": user_id, "email": email, "aud": "authenticated", "exp": int(time.time()) + lifetime,
            "user_metadata": {"full_name": "Grace"}, **claims,
        }
        return jwt.encode(payload, secret or os.environ["SUPABASE_JWT_SECRET"], algorithm="HS256")

    return make


@pytest.fixture
def auth(make_token):
    return {"Authorization": f"Bearer {make_token()}"}


@pytest.fixture
def client():
    return TestClient(main.app, raise_server_exceptions=False)


@pytest.fixture
def user(database):
    with session_scope() as session:
        session.add(User(id=USER_ID, email=EMAIL, credits=60, created_at=utcnow()))
    return USER_ID


@pytest.fixture
def creators(database):
    """Three creators; the first one has been analysed and has two posts."""
    now = utcnow()
    with session_scope() as session:
        ada = Profile(username="ada_codes", full_name="Ada L", category="tech", followers_count=1000,
                      ai_analyzed_at=now, updated_at=now)
        session.add_all([
            ada,
            Profile(username="bob", full_name="Bob 100%", category="food", followers_count=50, updated_at=now),
            Profile(username="=cmd", category="tech", followers_count=0, updated_at=now),
        ])
        session.flush()
        session.add_all([
            Post(profile_id=ada.id, caption="one", likes_count=30, comments_count=10, posted_at=now),
            Post(profile_id=ada.id, caption="two", likes_count=50, comments_count=10, posted_at=now,
                 ai_analyzed_at=now),
        ])
    return ["ada_codes", "bob", "=cmd"]
