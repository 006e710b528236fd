"""Registering a recording commits or rolls back, and gives its connection back."""
import psycopg2
import pytest
from fastapi.testclient import TestClient

NEW = {
    "id": "5f0c9a9e-0000-4000-8000-000000000001",
    "object_key": "2025/01/02/a.wav",
    "source": "inbox",
    "original_name": "a.wav",
    "duration_seconds": 12.5,
}
REQUESTS = 12


def test_connections_are_given_back(world):
    world.db.rows = lambda sql, params: [{"id": NEW["id"]}] if "INSERT INTO recordings" in sql else []
    api = TestClient(world.load("metadata").app)
    for _ in range(REQUESTS):
        assert api.post("/recordings", json=NEW).status_code == 201
    assert world.db.open <= 5, f"{world.db.open} connections are open after {REQUESTS} requests"
    assert sum("INSERT INTO recordings" in sql for sql in world.db.committed) == REQUESTS
    assert sum("INSERT INTO recording_events" in sql for sql in world.db.committed) == REQUESTS


def test_failure_is_rolled_back_and_the_connection_given_back(world):
    def rows(sql, params):
        if "INSERT INTO recording_events" in sql:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return [{"id": NEW["id"]}]

    world.db.rows = rows
    api = TestClient(world.load("metadata").app, raise_server_exceptions=False)
    for _ in range(REQUESTS):
        assert api.post("/recordings", json=NEW).status_code >= 500
    assert world.db.open <= 5, f"{world.db.open} connections are open after {REQUESTS} failures"
    assert not any("INSERT" in sql for sql in world.db.committed)
