"""Listing recordings gives its connection back, after a failure too."""
from datetime import datetime, timezone

import psycopg2
from fastapi.testclient import TestClient

ROW = {
    "id": "5f0c9a9e-0000-4000-8000-000000000001",
    "object_key": "2025/01/02/a.wav",
    "source": "inbox",
    "original_name": "a.wav",
    "duration_seconds": 12.5,
    "status": "new",
    "transcript": None,
    "created_at": datetime(2025, 1, 2, tzinfo=timezone.utc),
}
REQUESTS = 12


def test_connections_are_given_back(world):
    world.db.rows = lambda sql, params: [{"total": 1}] if "count(*)" in sql else [dict(ROW)]
    api = TestClient(world.load("metadata").app)
    for _ in range(REQUESTS):
        answer = api.get("/recordings", params={"status": "new"})
        assert (answer.json()["total"], len(answer.json()["items"])) == (1, 1)
    assert world.db.open <= 5, f"{world.db.open} connections are open after {REQUESTS} requests"


def test_connection_is_given_back_after_a_failure(world):
    def rows(sql, params):
        if "count(*)" in sql:
            return [{"total": 1}]
        raise psycopg2.OperationalError("canceling statement due to statement timeout")

    world.db.rows = rows
    api = TestClient(world.load("metadata").app, raise_server_exceptions=False)
    for _ in range(REQUESTS):
        assert api.get("/recordings").status_code >= 500
    assert world.db.open <= 5, f"{world.db.open} connections are open after {REQUESTS} failures"
