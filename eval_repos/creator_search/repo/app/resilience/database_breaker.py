"""Stops calling the database for a while when it keeps failing."""
import logging
import threading
import time
from typing import Any, Callable, Optional

from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)


class DatabaseCircuitOpen(RuntimeError):
    pass


class DatabaseCircuitBreaker:
    def __init__(self, max_failures: int = 5, reset_seconds: float = 30.0) -> None:
        self.max_failures = max_failures
        self.reset_seconds = reset_seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: Optional[float] = None

    def reset(self) -> None:
        with self._lock:
            self._failures, self._opened_at = 0, None

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._opened_at is not None and time.monotonic() - self._opened_at < self.reset_seconds

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.is_open:
            raise DatabaseCircuitOpen("Database calls are suspended")
        try:
            result = function(*args, **kwargs)
        except DBAPIError:
            with self._lock:
                self._failures += 1
                if self._failures >= self.max_failures:
                    logger.error("Database circuit opened after %d failures", self._failures)
                    self._opened_at = time.monotonic()
            raise
        self.reset()
        return result


database_breaker = DatabaseCircuitBreaker()
