"""librdkafka's log, without what it repeats: a message comes once in QUIET_S seconds.

It says "connection refused" 50 times a second while a broker is away; once is enough.
"""

from __future__ import annotations

import logging
import re
import threading

LOG = logging.getLogger("wildfire_ingest.kafka")
"""Every client of ours logs here."""
QUIET_S = 30.0
MAX_KINDS = 1_000
"""So many kinds of messages are remembered: what a broker says cannot fill the memory."""
_NUMBER = re.compile(r"\d+")


class OncePerOutage(logging.Filter):
    """Lets a repeated message through once in QUIET_S; numbers in it make it no other message.

    For a logger: its threads log at the same time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; a message that comes again says how often it was held back."""
        text = record.getMessage()
        hidden = self._held_back(_NUMBER.sub("#", text), record.created)
        if hidden:
            record.msg, record.args = f"{text} (and {hidden} times before)", None
        return hidden is not None

    def _held_back(self, kind: str, at_s: float) -> int | None:
        """How many were held back before this one; None = this one is, too."""
        with self._lock:
            since_s, hidden = self._last.get(kind, (at_s - QUIET_S, 0))
            if at_s - since_s < QUIET_S:
                self._last[kind] = (since_s, hidden + 1)
                return None
            if len(self._last) >= MAX_KINDS:
                self._last.clear()
            self._last[kind] = (at_s, 0)
            return hidden


LOG.addFilter(OncePerOutage())
