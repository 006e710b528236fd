import io
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from app import usage
from app.database import Database
from app.models import Plan


@pytest.fixture
def db(tmp_path):
    db = Database(tmp_path / "usage.db")
    yield db
    db.close()


@pytest.fixture
def user(db):
    return db.create_user("ada@example.org", "x", Plan.FREE)


def test_only_the_window_counts(db, user):
    now = datetime.now(timezone.utc)
    usage.record_event(db, user.id, "chat", 100, at=now - timedelta(hours=1))
    usage.record_event(db, user.id, "chat", 900, at=now - timedelta(hours=30))
    assert usage.tokens_since(db, user.id) == 100
    assert usage.check_quota(db, user) == 19_900


def test_quota_is_used_up(db, user):
    usage.record_event(db, user.id, "chat", 20_000, at=datetime.now(timezone.utc))
    with pytest.raises(usage.QuotaExceeded):
        usage.check_quota(db, user)


def test_csv(db, user):
    usage.record_event(db, user.id, "chat", 5)
    sink = io.StringIO()
    assert usage.export_csv(db, sink) == 1
    assert sink.getvalue().splitlines()[1].startswith("1,chat,5,20")


def test_flush_sends_each_event_once(db, user, settings, supabase, monkeypatch):
    real = httpx.Client

    def client(**options):
        options["transport"] = httpx.MockTransport(supabase)
        return real(**options)

    monkeypatch.setattr(httpx, "Client", client)
    for tokens in (1, 2, 3):
        usage.record_event(db, user.id, "chat", tokens)
    assert usage.flush_usage(db, settings) == 3
    assert usage.flush_usage(db, settings) == 0
    assert [path for _, path, _ in supabase.requests] == ["/rest/v1/usage_events"] * 3


def test_refused_event_stays(db, user, settings, monkeypatch):
    real = httpx.Client
    refuse = httpx.MockTransport(lambda request: httpx.Response(401))

    def client(**options):
        options["transport"] = refuse
        return real(**options)

    monkeypatch.setattr(httpx, "Client", client)
    usage.record_event(db, user.id, "chat", 1)
    with pytest.raises(httpx.HTTPStatusError):
        usage.flush_usage(db, settings)
    assert len(db.usage_of(unflushed_only=True)) == 1
