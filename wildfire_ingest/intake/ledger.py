"""The account of a source: every row that a poll returned is in exactly one column.

Pure.  Two identities close it (checked at every T1 and T7 and by `wildfire-ingest audit`):

    fetched = duplicate + superseded + too_late + filtered + accepted + rejected
    accepted + rejected = spooled = published + pending + evicted + quarantined
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Totals of rows since the spool began."""

    fetched: int = 0
    duplicate: int = 0
    superseded: int = 0
    too_late: int = 0
    filtered: int = 0
    accepted: int = 0
    rejected: int = 0
    published: int = 0
    """Committed to their topic or to the dead letter topic."""
    dead: int = 0
    """Those of `published` that went to the dead letter topic."""
    pending: int = 0
    evicted: int = 0
    quarantined: int = 0
    revised: int = 0
    """Those of `accepted` that are a revision of an id known before."""

    @property
    def spooled(self) -> int:
        return self.published + self.pending + self.evicted + self.quarantined

    def faults(self) -> tuple[str, ...]:
        """The identities that do not hold, in words; empty when the books close."""
        out = []
        explained = (
            self.duplicate
            + self.superseded
            + self.too_late
            + self.filtered
            + self.accepted
            + self.rejected
        )
        if self.fetched != explained:
            out.append(f"fetched {self.fetched} rows, {explained} of them explained")
        taken = self.accepted + self.rejected
        if taken != self.spooled:
            out.append(f"took in {taken} rows, the spool accounts for {self.spooled}")
        return tuple(out)

    def plus(self, other: Ledger) -> Ledger:
        """Sum of two accounts."""
        return Ledger(**{n: getattr(self, n) + getattr(other, n) for n in NAMES})

    def minus(self, other: Ledger) -> Ledger:
        """What has come since `other`; pending may fall."""
        return Ledger(**{n: getattr(self, n) - getattr(other, n) for n in NAMES})

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def of(cls, totals: Mapping[str, int]) -> Ledger:
        """From stored totals; unknown names are left out."""
        return cls(**{name: totals[name] for name in NAMES if name in totals})


NAMES = tuple(f.name for f in fields(Ledger))
