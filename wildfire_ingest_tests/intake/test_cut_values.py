"""A value that is stored without its beginning comes back as it was sent."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.intake import intake as intake_module
from wildfire_ingest.intake.intake import Intake, IntakeSettings
from wildfire_ingest.intake.load import unpack
from wildfire_ingest.record import Body, Decoded, Lane, Record, Reject

NOW_S = 1_800_000_000


class Reading(Body, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A small record."""

    record_type: ClassVar[str] = "reading"
    schema_version: ClassVar[int] = 3
    value: float | None = None
    text: str = ""


class Constant:
    """One lane and one topic."""

    def topic(self, body_type: type[Body]) -> str:
        return "readings"

    def lane(self, body_type: type[Body]) -> Lane:
        return Lane.LOW

    def count(self, body_type: type[Body], records: int) -> None:
        pass

    def resolutions(self) -> dict[str, int]:
        return {}


def new_intake(source_id: str = "wörks_1") -> Intake:
    return Intake(
        IntakeSettings(
            source_id=source_id,
            source_type="test",
            window_s=86_400,
            default_lane=Lane.LOW,
            default_topic="readings",
            dlq_topic="dead",
            max_records_per_load=7,
        ),
        Constant(),
    )


records = st.builds(
    Record,
    st.binary(max_size=3),
    st.integers(NOW_S - 300, NOW_S),
    st.just(b"k"),
    st.builds(Reading, value=st.none() | st.floats(allow_nan=False), text=st.text(max_size=4)),
)


@given(st.lists(st.lists(records, max_size=20), max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_the_spool_gives_back_is_what_was_packed(polls: list[list[Record]]) -> None:
    intake = new_intake()
    for poll in polls:
        weighed = intake.weigh(Decoded(poll, [Reject(b"bad", "odd", "odd")]), NOW_S * 1_000_000)
        intake.remember(weighed, NOW_S * 1_000_000)

        for packed in weighed.packed:
            out = unpack(packed.lane, 1, b"", packed.ids, packed.payload)
            assert list(out.values) == list(packed.rows.values)
            for record_id, value, kind in zip(out.ids, out.values, out.types, strict=True):
                if kind == b"reading":
                    parsed = json.loads(value)
                    assert f"{parsed['id']}.{parsed['revision']}" == record_id.decode()


def test_new_rows_are_stored_without_what_they_share() -> None:
    poll = [Record(b"%d" % n, NOW_S, b"k", Reading(value=1.5)) for n in range(7)]

    (packed,) = new_intake().weigh(Decoded(poll, []), NOW_S * 1_000_000).packed

    assert len(packed.payload) < sum(map(len, packed.rows.values)) / 2


def test_more_times_than_can_be_numbered_are_stored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_STEMS", 2)
    poll = [Record(b"%d" % n, NOW_S - n, b"k", Reading(value=1.5)) for n in range(3)]

    (packed,) = new_intake().weigh(Decoded(poll, []), NOW_S * 1_000_000).packed

    out = unpack(Lane.LOW, 1, b"", packed.ids, packed.payload)
    assert packed.rows.cut is None
    assert list(out.values) == list(packed.rows.values)
