import time
from datetime import datetime, timedelta, timezone

import pytest


@pytest.fixture(params=["Asia/Kolkata", "America/New_York", "UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_events_count_in_every_time_zone(zone, load, tmp_path):
    db = load("app.database").Database(tmp_path / "usage.db")
    usage = load("app.usage")
    user = db.create_user("ada@example.org", "x")
    usage.record_event(db, user.id, "chat", 70)
    usage.record_event(db, user.id, "chat", 900, at=datetime.now(timezone.utc) - timedelta(hours=3))
    assert usage.tokens_since(db, user.id, timedelta(hours=1)) == 70
    db.close()
