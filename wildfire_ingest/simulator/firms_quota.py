"""Whether a key's quota allows one more request: 5,000 units in any 10 minutes."""

from __future__ import annotations

import threading
from collections import deque

LIMIT = 5000
INTERVAL_US = 600_000_000
MAX_KEYS = 1000


class Quota:
    """What each key has spent in the last interval.  Thread-safe."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._spent: dict[str, deque[tuple[int, float]]] = {}

    def take(self, key: str, units: float, now_us: int) -> bool:
        """Spend, or refuse where it would be too much; a refusal spends nothing."""
        with self._lock:
            spent = self._recent(key, now_us)
            if sum(cost for _, cost in spent) + units > self._limit:
                return False
            spent.append((now_us, units))
            return True

    def spent(self, key: str, now_us: int) -> float:
        """Units of the last interval."""
        with self._lock:
            return sum(cost for _, cost in self._recent(key, now_us))

    def _recent(self, key: str, now_us: int) -> deque[tuple[int, float]]:
        if key not in self._spent and len(self._spent) >= MAX_KEYS:
            del self._spent[next(iter(self._spent))]
        spent = self._spent.setdefault(key, deque())
        while spent and spent[0][0] <= now_us - INTERVAL_US:
            spent.popleft()
        return spent
