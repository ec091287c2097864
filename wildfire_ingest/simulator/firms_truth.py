"""What was truly served: the distinct rows of all answers, and how often a row's values changed.

Independent of the source's own reading on purpose: exact decimals of the text, its own table of
satellites.  Past a million keys those of the oldest day are forgotten (their count stays), so
memory is bounded.
"""

from __future__ import annotations

import csv
import hashlib
import re
import threading
from dataclasses import dataclass

MAX_KEYS = 1_000_000
"""About 200 bytes each."""

_SATELLITES = {"1": "N20", "T": "Terra", "A": "Aqua"}
_CONFIDENCES = {"l": "low", "n": "nominal", "h": "high"}
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_KEY = ("satellite", "acq_date", "acq_time", "latitude", "longitude")
_NO_CONTENT = frozenset({"country_id", "instrument", "type"})


@dataclass(frozen=True, slots=True)
class TruthCounts:
    """Sums over all answers that were sent whole."""

    answers: int = 0
    rows: int = 0
    distinct_rows: int = 0
    value_changes: int = 0
    """A known row came again with other values: a revision."""

    @property
    def expected_records(self) -> int:
        """How many (id, revision) a perfect pipeline has delivered."""
        return self.distinct_rows + self.value_changes


class Truth:
    """Counts answers as they are served.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = TruthCounts()
        self._days: dict[str, dict[bytes, bytes]] = {}

    def note(self, body: bytes) -> None:
        """One answer was sent whole."""
        lines = body.decode("latin-1").splitlines()
        reader = csv.reader(lines, quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        rows = distinct = changes = 0
        with self._lock:
            for cells in reader:
                rows += 1
                change = self._note_row(dict(zip(header, cells, strict=False)))
                distinct += change is None
                changes += change is True
            before = self._counts
            self._counts = TruthCounts(
                before.answers + 1,
                before.rows + rows,
                before.distinct_rows + distinct,
                before.value_changes + changes,
            )
            while len(self._days) > 1 and sum(map(len, self._days.values())) > MAX_KEYS:
                del self._days[min(self._days)]

    def _note_row(self, row: dict[str, str]) -> bool | None:
        """None for a new row, else whether its values differ from the last time."""
        plain = {name: canonical(name, text) for name, text in row.items()}
        family = "VIIRS" if "bright_ti4" in row else "MODIS"
        key = _digest("|".join([family, *(plain.get(name, "") for name in _KEY)]))
        content = _digest(
            "|".join(text for name, text in sorted(plain.items()) if name not in _NO_CONTENT)
        )
        seen = self._days.setdefault(plain.get("acq_date", "")[:10], {})
        last = seen.get(key)
        seen[key] = content
        return None if last is None else last != content

    @property
    def counts(self) -> TruthCounts:
        return self._counts


def canonical(name: str, text: str) -> str:
    """One spelling for all that FIRMS has for a value."""
    if name == "acq_time":
        return text.zfill(4)
    if name == "satellite":
        return _SATELLITES.get(text, text)
    if name == "confidence":
        return _CONFIDENCES.get(text, text)
    if "." in text and name != "version" and _DECIMAL.fullmatch(text):
        return text.rstrip("0").rstrip(".")
    return text


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("latin-1", "replace"), digest_size=16).digest()
