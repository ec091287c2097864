"""Whether what the simulator served and what Kafka holds agree.  Pure; all numbers are records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One source: what was served, by the simulator's own reading, and what is in Kafka."""

    source_id: str
    served_rows: int
    """Distinct rows of all answers."""
    served_changes: int
    """How often a row came again with other values."""
    distinct_ids: int
    records: int
    """Distinct (id, revision)."""
    duplicates: int
    dead: int

    @property
    def revisions(self) -> int:
        """Records beyond the first of their id."""
        return self.records - self.distinct_ids

    def disagreements(self) -> tuple[str, ...]:
        """What does not agree, in words; empty when everything does."""
        out = []
        if self.served_rows == 0:
            out.append("nothing was served")
        if self.served_rows != self.distinct_ids + self.dead:
            out.append(
                f"{self.served_rows} distinct rows were served, but Kafka holds"
                f" {self.distinct_ids} ids and {self.dead} dead letters"
            )
        if self.revisions != self.served_changes:
            out.append(
                f"rows changed {self.served_changes} times, but Kafka holds"
                f" {self.revisions} revisions"
            )
        if self.duplicates:
            out.append(f"{self.duplicates} records are in Kafka more than once")
        return tuple(f"{self.source_id}: {one}" for one in out)
