"""Durations that are shown to users."""
import time


def elapsed_since(started_at: float) -> float:
    """Seconds since `started_at` (a `time.time()` value), never negative when the clock was set back."""
    return round(max(0.0, time.time() - started_at), 3)
