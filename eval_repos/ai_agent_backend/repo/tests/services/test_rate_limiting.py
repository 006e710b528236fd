import fakes
import pytest
import redis

from app import rate_limiting
from app.rate_limiting import MemoryStore, RedisStore, build_store


@pytest.fixture
def server(monkeypatch):
    server = fakes.Redis()
    monkeypatch.setattr(redis.Redis, "from_url", lambda url, **options: server)
    return server


def test_windows_in_memory(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(rate_limiting.time, "monotonic", lambda: now[0])
    store = MemoryStore()
    assert [store.hit("a", 60), store.hit("a", 60), store.hit("b", 60)] == [1, 2, 1]
    now[0] += 61
    assert store.hit("a", 60) == 1


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(rate_limiting, "MAX_KEYS_IN_MEMORY", 3)
    store = MemoryStore()
    for number in range(10):
        store.hit(f"key {number}", 60)
    assert store.clear() == 3


def test_redis_counts_and_clears(server):
    store = build_store("redis://localhost")
    assert isinstance(store, RedisStore)
    assert [store.hit("chat:1", 60), store.hit("chat:1", 60)] == [1, 2]
    server.values["session:1"] = "kept"
    assert store.clear() == 1
    store.close()
    assert server.closed and "session:1" in server.values


def test_redis_that_fails_later_lets_requests_through(server, caplog):
    store = build_store("redis://localhost")
    server.error = redis.ConnectionError("gone")
    assert store.hit("chat:1", 60) == 0
    assert "could not be counted" in caplog.text


def test_no_redis_configured(caplog):
    assert isinstance(build_store(None), MemoryStore)
    assert "in memory" in caplog.text
