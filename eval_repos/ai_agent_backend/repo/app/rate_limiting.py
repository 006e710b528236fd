"""Rate limits per user and per address.

Counters live in Redis when there is one, so that all API processes share them; a single process can count in memory.
"""

import logging
import threading
import time
from dataclasses import dataclass

from fastapi import HTTPException, Request

logger = logging.getLogger(__name__)

# Development machines run without Redis.
try:
    import redis
except ImportError:
    redis = None
    logger.warning("Redis not available, using in-memory rate limiting")

KEY_PREFIX = "rate-limit:"
MAX_KEYS_IN_MEMORY = 10_000


class MemoryStore:
    """Fixed windows in a dictionary; windows that are over are dropped when the dictionary is full."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def hit(self, key: str, window: int) -> int:
        now = time.monotonic()
        with self._lock:
            if len(self._windows) >= MAX_KEYS_IN_MEMORY:
                self._windows = {name: entry for name, entry in self._windows.items() if entry[0] > now}
                while len(self._windows) >= MAX_KEYS_IN_MEMORY:
                    self._windows.pop(next(iter(self._windows)))
            ends, count = self._windows.get(key, (0.0, 0))
            if ends <= now:
                ends, count = now + window, 0
            self._windows[key] = (ends, count + 1)
            return count + 1

    def clear(self) -> int:
        with self._lock:
            removed = len(self._windows)
            self._windows.clear()
        return removed

    def close(self) -> None:
        self.clear()


class RedisStore:
    def __init__(self, client) -> None:
        self._client = client

    def hit(self, key: str, window: int) -> int:
        try:
            pipeline = self._client.pipeline()
            pipeline.incr(KEY_PREFIX + key)
            pipeline.expire(KEY_PREFIX + key, window, nx=True)
            count, _ = pipeline.execute()
        except redis.RedisError:
            # Better an unlimited minute than no service.
            logger.exception("Rate limit of %s could not be counted", key.split(":")[0])
            return 0
        return int(count)

    def clear(self) -> int:
        removed = 0
        for key in self._client.scan_iter(match=KEY_PREFIX + "*"):
            removed += self._client.delete(key)
        return removed

    def close(self) -> None:
        self._client.close()


def build_store(redis_url: str | None):
    if redis_url is None or redis is None:
        logger.warning("Rate limits are counted in memory, each process on its own")
        return MemoryStore()
    client = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
    try:
        client.ping()
    except redis.RedisError:
        client.close()
        return MemoryStore()
    return RedisStore(client)


@dataclass(frozen=True)
class Limit:
    name: str
    requests: int
    window: int = 60

    def __call__(self, request: Request) -> None:
        """FastAPI dependency: one count for each client address."""
        address = request.client.host if request.client is not None else "unknown"
        count = request.app.state.rate_store.hit(f"{self.name}:{address}", self.window)
        if count > self.requests:
            raise HTTPException(429, "Too many requests, try again later", headers={"Retry-After": str(self.window)})
