"""The circuits' states, shared by all processes: a new process knows that a source is down.

The decisions are circuit.py's; times are integer microseconds of wall time.
"""

from __future__ import annotations

import sqlite3

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.fetch.circuit import (
    Circuit,
    CircuitPolicy,
    Pass,
    Refuse,
    ask,
    failed,
    not_asked,
    succeeded,
)
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.fetch.shared_state import SharedState, hashed


class SourceCircuit:
    """One source's circuit."""

    def __init__(self, state: SharedState, settings: FetchSettings) -> None:
        self._state = state
        # Another server is another circuit: a source that is pointed away may be asked.
        self._name = hashed("circuit", settings.source_id, settings.base_url)
        self._policy = CircuitPolicy(
            settings.max_consecutive_failures, int(settings.circuit_open_s * SECOND_US)
        )

    def ask(self, now_us: int) -> Pass | Refuse:
        """May the source be asked?  Every Pass is followed by one of the three below."""
        with self._state.transaction() as db:
            circuit = self._read(db)
            verdict = ask(self._policy, circuit, now_us)
            if verdict.circuit != circuit:
                self._write(db, verdict.circuit)
            return verdict

    def succeeded(self) -> None:
        """The source answered."""
        with self._state.transaction() as db:
            if self._read(db) != Circuit():
                self._write(db, succeeded())

    def failed(self, now_us: int, *, at_once: bool = False) -> None:
        """The fetch failed for the source's fault; `at_once` opens the circuit."""
        with self._state.transaction() as db:
            circuit = failed(self._policy, self._read(db), now_us, at_once=at_once)
            self._write(db, circuit)

    def not_asked(self) -> None:
        """The fetch ended before it asked."""
        with self._state.transaction() as db:
            circuit = self._read(db)
            if circuit.trial_until_us:
                self._write(db, not_asked(circuit))

    def _read(self, db: sqlite3.Connection) -> Circuit:
        row = db.execute(
            "SELECT failures, open_until_us, trial_until_us FROM circuit WHERE name = ?",
            (self._name,),
        ).fetchone()
        return Circuit(*row) if row else Circuit()

    def _write(self, db: sqlite3.Connection, circuit: Circuit) -> None:
        row = (self._name, circuit.failures, circuit.open_until_us, circuit.trial_until_us)
        db.execute("INSERT OR REPLACE INTO circuit VALUES (?, ?, ?, ?)", row)
