import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.api.deps import get_db
from app.core.clock import utcnow
from app.database import connection
from app.database.models import Profile
from app.jobs import refresh_stats
from app.resilience.database_breaker import DatabaseCircuitBreaker, DatabaseCircuitOpen


def test_request_session(creators):
    dependency = get_db()
    session = next(dependency)
    assert len(session.scalars(select(Profile)).all()) == 3
    with pytest.raises(StopIteration):
        next(dependency)


def test_scope_rolls_back(creators):
    with pytest.raises(RuntimeError):
        with connection.session_scope() as session:
            session.add(Profile(username="new", updated_at=utcnow()))
            session.flush()
            raise RuntimeError("stop")
    with connection.session_scope() as session:
        assert len(session.scalars(select(Profile)).all()) == 3


def test_engagement_rates_are_refreshed(creators):
    assert refresh_stats.refresh_engagement_rates() == 3
    assert refresh_stats.refresh_engagement_rates() == 0
    with connection.session_scope() as session:
        rates = dict(session.execute(select(Profile.username, Profile.engagement_rate)).all())
    assert rates == {"ada_codes": 5.0, "bob": 0.0, "=cmd": 0.0}


def test_failed_refresh_changes_nothing(creators, monkeypatch):
    def fail(followers, posts):
        raise OverflowError("too many followers")

    monkeypatch.setattr(refresh_stats, "engagement_rate", fail)
    with pytest.raises(OverflowError):
        refresh_stats.refresh_engagement_rates()
    with connection.session_scope() as session:
        assert set(session.scalars(select(Profile.engagement_rate))) == {None}


def test_refresher_survives_failures(monkeypatch):
    outcomes = [RuntimeError("down"), 3]
    done = []

    def refresh():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        done.append(outcome)
        return outcome

    monkeypatch.setattr(refresh_stats, "refresh_engagement_rates", refresh)

    async def main():
        task = asyncio.create_task(refresh_stats.refresh_forever(0))
        while not done:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert done == [3]


def test_breaker_opens_and_recovers():
    breaker = DatabaseCircuitBreaker(max_failures=2, reset_seconds=0.0)

    def fail():
        raise OperationalError("select 1", {}, Exception("refused"))

    for _ in range(2):
        with pytest.raises(OperationalError):
            breaker.call(fail)
    assert breaker.call(lambda: 7) == 7
    breaker.reset_seconds = 60.0
    for _ in range(2):
        with pytest.raises(OperationalError):
            breaker.call(fail)
    with pytest.raises(DatabaseCircuitOpen):
        breaker.call(lambda: 7)


def test_health(client):
    assert client.get("/health").json()["database_circuit"] == "closed"
    assert client.get("/health/ready").status_code == 200


def test_not_ready(client, monkeypatch):
    def fail():
        raise ConnectionError("refused")

    monkeypatch.setattr(connection, "get_engine", fail)
    assert client.get("/health/ready").status_code == 503


def test_start_and_stop(monkeypatch, creators):
    import main
    from fastapi.testclient import TestClient

    with TestClient(main.app) as running:
        assert running.get("/health").status_code == 200
        assert not main.app.state.refresher.done()
    assert main.app.state.refresher.done()
