"""Named places where a test ends the process at once, to prove that nothing is lost there.

Off unless a specification is given: `name` or `name:k` for the k-th pass.  SIGKILL, so that no
clean-up runs.
"""

from __future__ import annotations

import os
import signal
import threading

POINTS = frozenset(
    {
        "poll.before_fetch",
        "poll.after_fetch",
        "spool.before_commit",
        "spool.after_commit",
        "txn.after_init",
        "txn.after_begin",
        "txn.half_produced",
        "txn.before_commit",
        "txn.after_commit",
        "spool.before_published",
        "spool.after_published",
        "recover.after_lock",
        "recover.after_open",
        "recover.after_init",
        "recover.after_read",
        "recover.after_claim",
        "recover.after_adopt",
        "overflow.after_archive",
        "dlq.after_readdress",
    }
)


class CrashPoints:
    """Call it with the name of the place that is being passed."""

    def __init__(self, specification: str = "") -> None:
        name, _, k = specification.partition(":")
        if name and name not in POINTS:
            raise ValueError(f"no crash point {name!r}; there are {', '.join(sorted(POINTS))}")
        self._name = name
        self._left = int(k or 1)
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
