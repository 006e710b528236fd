"""Retries with exponential backoff and jitter for calls that may be repeated."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


def call_with_retry(
    call: Callable[[], T],
    retry_on: tuple[type[Exception], ...],
    attempts: int = 3,
    base_delay: float = 0.2,
    max_delay: float = 5.0,
) -> T:
    """Call until it succeeds; the last failure is raised."""
    for attempt in range(1, attempts):
        try:
            return call()
        except retry_on as error:
            delay = min(max_delay, base_delay * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)
            logger.warning("Attempt %d of %d failed (%s), next in %.2f s", attempt, attempts, type(error).__name__, delay)
            time.sleep(delay)
    return call()
