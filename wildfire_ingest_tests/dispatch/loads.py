"""Loads and bodies for the tests of dispatch."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st

from wildfire_ingest.record import Body, Lane, Load


def load(
    lane: Lane, seq: int, *, records: int = 1, n_bytes: int = 100, created_at_us: int = 0
) -> Load:
    return Load(
        lane=lane,
        seq=seq,
        records=records,
        n_bytes=n_bytes,
        topics=("wildfire-test",),
        created_at_us=created_at_us,
    )


@st.composite
def backlogs(draw: st.DrawFn, *, max_loads: int = 30, max_records: int = 50) -> list[Load]:
    """Loads of all lanes mixed, the seq of each lane rising."""
    shapes = draw(
        st.lists(
            st.tuples(st.sampled_from(Lane), st.integers(1, max_records), st.integers(1, 1000)),
            max_size=max_loads,
        )
    )
    return [
        load(lane, seq, records=records, n_bytes=n_bytes, created_at_us=seq)
        for seq, (lane, records, n_bytes) in enumerate(shapes)
    ]


class Detection(Body, frozen=True, kw_only=True):
    record_type: ClassVar[str] = "fire_detection"
    schema_version: ClassVar[int] = 1
    satellite: str | None = None
    frp_mw: float | None = None
    day: bool | None = None


class Alert(Body, frozen=True, kw_only=True):
    record_type: ClassVar[str] = "weather_alert"
    schema_version: ClassVar[int] = 2
    event: str | None = None
    alert_id: str | None = None
    severity: str | None = None
