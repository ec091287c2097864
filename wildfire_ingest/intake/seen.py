"""What was seen: maps each id to the newest accepted content, and judges a whole poll at once.

Pure: no clock, no I/O.  Times are seconds since the epoch, UTC.  24 bytes an id, in sorted
arrays, one pair per day of observed time; a day that has left the window is dropped whole.
The natural key of a record fixes its observed time, so an id is looked for in one day only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from wildfire_ingest.intake.identity import I64, U64

DAY_S = 86_400
_MERGE_FRACTION = 8
"""A day's recent rows are merged into its main arrays when they are 1/8 of them."""


class Verdict(IntEnum):
    """What a row is, seen against all that was accepted before."""

    NEW = 0
    REVISION = 1
    DUPLICATE = 2
    TOO_LATE = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict and one revision number a row; nothing is remembered before `accept`."""

    verdicts: npt.NDArray[np.uint8]
    revisions: npt.NDArray[np.uint32]

    def count(self, verdict: Verdict) -> int:
        return int(np.count_nonzero(self.verdicts == verdict))


class Seen:
    """The index of one source.  Used by one thread."""

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._days: dict[int, _Day] = {}
        self._revisions: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return sum(len(day) for day in self._days.values())

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays; the revision numbers of revised ids come on top."""
        return 24 * len(self)

    def judge(self, hi: U64, lo: U64, hashes: U64, observed_s: I64, now_s: int) -> Judged:
        """Judge the rows of one answer, in their order."""
        verdicts = np.zeros(len(hi), np.uint8)
        revisions = np.zeros(len(hi), np.uint32)
        late = observed_s < now_s - self._window_s
        verdicts[late] = Verdict.TOO_LATE
        repeated = _repeated(hi) & ~late
        days = observed_s // DAY_S
        for day in np.unique(days[~late]):
            rows = np.flatnonzero((days == day) & ~late & ~repeated)
            self._judge_day(int(day), rows, (hi, lo, hashes), verdicts, revisions)
        if repeated.any():
            self._judge_repeated(
                np.flatnonzero(repeated), (hi, lo, hashes), days, verdicts, revisions
            )
        return Judged(verdicts, revisions)

    def accept(self, hi: U64, lo: U64, hashes: U64, observed_s: I64, judged: Judged) -> None:
        """Remember what `judge` called NEW or REVISION; called once the rows are durable."""
        days = observed_s // DAY_S
        fresh = judged.verdicts == Verdict.NEW
        for day in np.unique(days[fresh]):
            rows = np.flatnonzero(fresh & (days == day))
            self._day(int(day)).add(hi[rows], lo[rows], hashes[rows])
        for row in np.flatnonzero(judged.verdicts == Verdict.REVISION):
            key = (int(hi[row]), int(lo[row]))
            self._revisions[key] = int(judged.revisions[row])
            self._day(int(days[row])).replace(hi[row], lo[row], hashes[row])

    def restore(
        self, hi: U64, lo: U64, hashes: U64, observed_s: I64, revisions: npt.NDArray[np.uint32]
    ) -> None:
        """Add rows accepted earlier, in any order: of an id the highest revision counts."""
        order = np.lexsort((revisions, lo, hi))
        hi, lo, hashes = hi[order], lo[order], hashes[order]
        observed_s, revisions = observed_s[order], revisions[order]
        last = np.ones(len(hi), bool)
        last[:-1] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
        days = observed_s // DAY_S
        for day in np.unique(days[last]):
            index = self._day(int(day))
            rows = np.flatnonzero(last & (days == day))
            known, _ = index.find(hi[rows], lo[rows])
            for row in rows[known]:
                if revisions[row] > self._revisions.get((int(hi[row]), int(lo[row])), 0):
                    index.replace(hi[row], lo[row], hashes[row])
            new = rows[~known]
            index.add(hi[new], lo[new], hashes[new])
        for row in np.flatnonzero(last & (revisions > 0)):
            key = (int(hi[row]), int(lo[row]))
            self._revisions[key] = max(self._revisions.get(key, 0), int(revisions[row]))

    def forget_before(self, now_s: int) -> int:
        """Drop the days that left the window; how many ids went."""
        oldest = (now_s - self._window_s) // DAY_S
        gone = [day for day in self._days if day < oldest]
        n = 0
        for day in gone:
            index = self._days.pop(day)
            n += len(index)
            for key in index.keys() & self._revisions.keys() if self._revisions else ():
                del self._revisions[key]
        return n

    def _day(self, day: int) -> _Day:
        index = self._days.get(day)
        if index is None:
            index = self._days[day] = _Day()
        return index

    def _judge_day(
        self,
        day: int,
        rows: I64,
        columns: tuple[U64, U64, U64],
        verdicts: npt.NDArray[np.uint8],
        revisions: npt.NDArray[np.uint32],
    ) -> None:
        index = self._days.get(day)
        if index is None or not len(rows):
            return
        hi, lo, hashes = (column[rows] for column in columns)
        known, newest = index.find(hi, lo)
        same = known & (newest == hashes)
        verdicts[rows[same]] = Verdict.DUPLICATE
        for row in rows[known & ~same]:
            key = (int(columns[0][row]), int(columns[1][row]))
            verdicts[row] = Verdict.REVISION
            revisions[row] = self._revisions.get(key, 0) + 1

    def _judge_repeated(
        self,
        rows: I64,
        columns: tuple[U64, U64, U64],
        days: I64,
        verdicts: npt.NDArray[np.uint8],
        revisions: npt.NDArray[np.uint32],
    ) -> None:
        """Ids that stand more than once in one answer: one after the other, in its order."""
        newest: dict[tuple[int, int], tuple[int, int]] = {}
        for row in rows:
            hi, lo, content = (int(column[row]) for column in columns)
            known = newest.get((hi, lo)) or self._newest(int(days[row]), hi, lo)
            if known is None:
                revision = 0
            elif known[0] == content:
                verdicts[row] = Verdict.DUPLICATE
                continue
            else:
                verdicts[row] = Verdict.REVISION
                revision = known[1] + 1
            revisions[row] = revision
            newest[(hi, lo)] = (content, revision)

    def _newest(self, day: int, hi: int, lo: int) -> tuple[int, int] | None:
        index = self._days.get(day)
        if index is None:
            return None
        known, content = index.find(np.array([hi], np.uint64), np.array([lo], np.uint64))
        return (int(content[0]), self._revisions.get((hi, lo), 0)) if known[0] else None


class _Day:
    """One day's ids: a large sorted run and a small recent one."""

    def __init__(self) -> None:
        self._runs = [_Run(), _Run()]

    def __len__(self) -> int:
        return len(self._runs[0].hi) + len(self._runs[1].hi)

    def keys(self) -> set[tuple[int, int]]:
        return {
            (int(h), int(low)) for run in self._runs for h, low in zip(run.hi, run.lo, strict=True)
        }

    def add(self, hi: U64, lo: U64, hashes: U64) -> None:
        main, recent = self._runs
        recent.merge(hi, lo, hashes)
        if len(recent.hi) * _MERGE_FRACTION > len(main.hi):
            main.merge(recent.hi, recent.lo, recent.hashes)
            self._runs[1] = _Run()

    def replace(self, hi: np.uint64, lo: np.uint64, content: np.uint64) -> None:
        for run in self._runs:
            at = run.position(hi, lo)
            if at >= 0:
                run.hashes[at] = content
                return

    def find(self, hi: U64, lo: U64) -> tuple[npt.NDArray[np.bool_], U64]:
        known = np.zeros(len(hi), bool)
        newest = np.zeros(len(hi), np.uint64)
        for run in self._runs:
            at = run.positions(hi, lo)
            hit = at >= 0
            known |= hit
            newest[hit] = run.hashes[at[hit]]
        return known, newest


class _Run:
    """Ids sorted by (hi, lo), with their content hashes beside them."""

    def __init__(self) -> None:
        self.hi: U64 = np.empty(0, np.uint64)
        self.lo: U64 = np.empty(0, np.uint64)
        self.hashes: U64 = np.empty(0, np.uint64)

    def merge(self, hi: U64, lo: U64, hashes: U64) -> None:
        hi = np.concatenate([self.hi, hi])
        lo = np.concatenate([self.lo, lo])
        # Two sorted runs: a stable sort merges them.  Ids that share 64 bits are next to none.
        order = np.argsort(hi, kind="stable")
        if np.any(hi[order][1:] == hi[order][:-1]):
            order = np.lexsort((lo, hi))
        self.hi, self.lo = hi[order], lo[order]
        self.hashes = np.concatenate([self.hashes, hashes])[order]

    def position(self, hi: np.uint64, lo: np.uint64) -> int:
        left = int(np.searchsorted(self.hi, hi, "left"))
        right = int(np.searchsorted(self.hi, hi, "right"))
        at = left + int(np.searchsorted(self.lo[left:right], lo, "left"))
        return at if at < right and self.lo[at] == lo else -1

    def positions(self, hi: U64, lo: U64) -> I64:
        """Where each id stands, -1 where it does not."""
        n = len(self.hi)
        if not n:
            return np.full(len(hi), -1, np.int64)
        at = np.searchsorted(self.hi, hi, "left")
        inside = np.minimum(at, n - 1)
        first = (at < n) & (self.hi[inside] == hi)
        exact = first & (self.lo[inside] == lo)
        found = np.where(exact, inside, -1)
        for row in np.flatnonzero(first & ~exact):  # 64 bits agree, 128 do not: look further
            found[row] = self.position(hi[row], lo[row])
        return found


def _repeated(hi: U64) -> npt.NDArray[np.bool_]:
    """Rows whose leading 64 bits stand more than once in the answer."""
    order = np.argsort(hi, kind="stable")
    equal = hi[order][1:] == hi[order][:-1]
    mask = np.zeros(len(hi), bool)
    mask[order[1:][equal]] = True
    mask[order[:-1][equal]] = True
    return mask
