"""Who of all processes may send the next request: the shared state of paces, quotas, pauses.

Every attempt, whatever its outcome, takes one token of its source's pace and its cost of its
API's quota, both or none.  A 429 pauses the source and the quota for everybody.  Times are
integer microseconds of wall time.
"""

from __future__ import annotations

import math
import sqlite3

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.fetch.rate_limit import Admit, Quota, Rate, Spent, Wait, admit, recalled, spend
from wildfire_ingest.fetch.retry import LONGEST_PAUSE_US
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.fetch.shared_state import SharedState, hashed

MILLI = 1000
MINUTE_US = 60 * SECOND_US


class Limits:
    """What one source may take, from what all processes have taken."""

    def __init__(self, state: SharedState, settings: FetchSettings) -> None:
        self._state = state
        self._source = hashed("source", settings.source_id)
        self._rate = Rate.within(settings.rate_limit_per_minute, MINUTE_US, settings.rate_burst)
        self._bucket: str | None = None
        self._quota: Quota | None = None
        if settings.quota is not None:
            self._bucket = hashed("quota", settings.quota.name)
            self._quota = Quota(
                math.floor(settings.quota.units * MILLI), int(settings.quota.interval_s * SECOND_US)
            )

    def take(self, cost: float, now_us: int) -> Admit | Wait:
        """Take what one attempt of `cost` units needs; on Wait nothing was taken.

        Raises ValueError for a cost beyond the whole quota.
        """
        with self._state.transaction() as db:
            self._after_a_clock_set_back(db, now_us)
            paused_us = self._pause_us(db, now_us)
            if paused_us > 0:
                return Wait(paused_us)
            pace = admit(self._rate, self._pace(db, now_us), now_us)
            room = self._room(db, math.ceil(cost * MILLI), now_us)
            waits = [verdict.wait_us for verdict in (pace, room) if isinstance(verdict, Wait)]
            if waits or isinstance(pace, Wait):
                return Wait(max(waits))
            self._keep_pace(db, pace.state)
            if self._bucket is not None and isinstance(room, Admit):
                db.execute("INSERT INTO spent VALUES (?, ?, ?)", (self._bucket, now_us, room.state))
            return pace

    def pause(self, wait_us: int, now_us: int, *, whole_quota: bool) -> None:
        """Nobody asks this source, or anything on its quota, for `wait_us`."""
        names = [self._source]
        if whole_quota and self._bucket is not None:
            names.append(self._bucket)
        until_us = now_us + min(wait_us, LONGEST_PAUSE_US)
        with self._state.transaction() as db:
            for name in names:
                db.execute(
                    "INSERT INTO paused VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                    "since_us = excluded.since_us, until_us = max(until_us, excluded.until_us)",
                    (name, now_us, until_us),
                )

    def _pause_us(self, db: sqlite3.Connection, now_us: int) -> int:
        rows = db.execute(
            "SELECT until_us FROM paused WHERE name IN (?, ?)", (self._source, self._bucket or "")
        )
        return max((until - now_us for (until,) in rows), default=0)

    def _after_a_clock_set_back(self, db: sqlite3.Connection, now_us: int) -> None:
        """What was written in the future counts from now: nobody waits for the clock."""
        # Processes read their clocks a little before their turn: that is no set back.
        limit_us = now_us + SECOND_US
        for name in (self._source, self._bucket or ""):
            db.execute(
                "UPDATE paused SET until_us = until_us - since_us + ?, since_us = ? "
                "WHERE name = ? AND since_us > ?",
                (now_us, now_us, name, limit_us),
            )
            db.execute(
                "UPDATE spent SET at_us = ? WHERE name = ? AND at_us > ?",
                (now_us, name, limit_us),
            )

    def _pace(self, db: sqlite3.Connection, now_us: int) -> int:
        row = db.execute("SELECT state_us FROM pace WHERE name = ?", (self._source,)).fetchone()
        state = int(row[0]) if row else 0
        known = recalled(self._rate, state, now_us + SECOND_US)
        if known != state:
            self._keep_pace(db, known)
        return known

    def _keep_pace(self, db: sqlite3.Connection, state_us: int) -> None:
        db.execute("INSERT OR REPLACE INTO pace VALUES (?, ?)", (self._source, state_us))

    def _room(self, db: sqlite3.Connection, cost: int, now_us: int) -> Admit | Wait:
        if self._quota is None:
            return Admit(cost)
        old = (self._bucket, now_us - self._quota.interval_us)
        db.execute("DELETE FROM spent WHERE name = ? AND at_us <= ?", old)
        rows = db.execute(
            "SELECT at_us, units FROM spent WHERE name = ? ORDER BY at_us", (self._bucket,)
        )
        return spend(self._quota, [Spent(*row) for row in rows], cost, now_us)
