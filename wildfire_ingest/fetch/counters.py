"""What a client has done: counted as it happens, read as one frozen snapshot."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class FetchCounters:
    """Since the client was made."""

    api_calls: int = 0
    """Requests sent: attempts and redirects, not fetches."""
    api_errors: int = 0
    """Attempts that brought no answer."""
    cache_hits: int = 0
    """Repeats within the time to live: no poll, no request."""
    not_modified: int = 0
    retries: int = 0
    """Attempts after the first: a last failure is none."""
    waited_s: float = 0.0
    """For pace, quota, pauses and retries."""
    bytes_in: int = 0
    """Bodies, as sent."""
    looks_taken: int = 0
    """Another process's look that became this client's poll: no request."""

    @property
    def success_rate(self) -> float | None:
        """Of the requests sent, the part that was answered, 0..1; None before the first."""
        if not self.api_calls:
            return None
        return (self.api_calls - self.api_errors) / self.api_calls


class Counting:
    """The running counts; safe to read from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = FetchCounters()

    def add(
        self,
        *,
        api_calls: int = 0,
        api_errors: int = 0,
        cache_hits: int = 0,
        not_modified: int = 0,
        retries: int = 0,
        waited_s: float = 0.0,
        bytes_in: int = 0,
        looks_taken: int = 0,
    ) -> None:
        """Count."""
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                api_calls=now.api_calls + api_calls,
                api_errors=now.api_errors + api_errors,
                cache_hits=now.cache_hits + cache_hits,
                not_modified=now.not_modified + not_modified,
                retries=now.retries + retries,
                waited_s=now.waited_s + waited_s,
                bytes_in=now.bytes_in + bytes_in,
                looks_taken=now.looks_taken + looks_taken,
            )

    def snapshot(self) -> FetchCounters:
        """The counts at one instant."""
        with self._lock:
            return self._now
