"""Records too large for any topic: what is kept of them whole, and what goes on.

Pure.  Sizes are bytes of the value.  With dead letters a giant's beginning goes to their topic
and says under which id the whole is kept; without them only the whole is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wildfire_ingest.intake.load import Packed, Rows, id_headers, pack, select
from wildfire_ingest.record import DeadLetter, Lane

TRUNCATED_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Cleared:
    """Rows of one load without giants, and the giants, one a load: each is found by its id."""

    rows: Rows
    giants: Sequence[Packed] = ()


def clear(lane: Lane, rows: Rows, limit_bytes: int, dlq_topic: str | None, now_us: int) -> Cleared:
    """Set apart the rows above the limit; `dlq_topic` is None where no dead letters are sent."""
    places = [row for row, value in enumerate(rows.values) if len(value) > limit_bytes]
    if not places:
        return Cleared(rows)
    letters = {row: _letter(rows, row, limit_bytes, dlq_topic, now_us) for row in places}
    giants = [
        pack(lane, replace(select(rows, [row]), dead={0: letter}))
        for row, letter in letters.items()
    ]
    if dlq_topic is None:
        return Cleared(select(rows, [n for n in range(len(rows)) if n not in letters]), giants)
    topics, values = list(rows.topics), list(rows.values)
    for row in places:
        topics[row], values[row] = dlq_topic, values[row][:TRUNCATED_BYTES]
    dead = {**rows.dead, **letters}
    return Cleared(replace(rows, topics=topics, values=values, dead=dead, cut=None), giants)


def _letter(
    rows: Rows, row: int, limit_bytes: int, dlq_topic: str | None, now_us: int
) -> DeadLetter:
    reason = (
        f"a record of {len(rows.values[row])} bytes; at most {limit_bytes} fit into a Kafka message"
    )
    if dlq_topic is not None:
        (name,) = id_headers(rows.ids[[row]])
        reason += (
            f"; the first {TRUNCATED_BYTES} bytes follow, the whole is in the spool's quarantine "
            f"under id {name.decode()}"
        )
    return DeadLetter(
        reason=reason,
        error_class="too_large",
        stage="client",
        original_topic=rows.topics[row],
        first_failed_at_us=now_us,
    )
