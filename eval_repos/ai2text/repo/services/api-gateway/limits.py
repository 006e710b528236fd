"""Fixed-window rate limit a caller, in memory; old callers make room for new ones."""
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimiter:
    def __init__(self, per_minute: int, max_callers: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.max_callers = max_callers
        self._clock = clock
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def allow(self, caller: str) -> bool:
        minute = int(self._clock() // 60)
        seen_minute, count = self._windows.get(caller, (minute, 0))
        count = count + 1 if seen_minute == minute else 1
        self._windows[caller] = (minute, count)
        self._windows.move_to_end(caller)
        while len(self._windows) > self.max_callers:
            self._windows.popitem(last=False)
        return count <= self.per_minute
