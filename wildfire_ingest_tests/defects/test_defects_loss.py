"""Nothing that was read is lost, replaced or left out without a word."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Body, Decoded, Polled, Record
from wildfire_ingest.testing import DLQ_TOPIC, TOPIC, FakeSource, make_engine
from wildfire_ingest_tests.defects.rows import answer, firms, row


class Unspeakable(Body, frozen=True, kw_only=True):
    """A body whose one field may hold what JSON cannot say."""

    record_type = "unspeakable"
    schema_version = 1

    value: object = None


class FaultySource(FakeSource):
    """Its second row cannot be written as JSON."""

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        yield Request("/readings")
        at_s = now_us // 1_000_000
        bodies = [Unspeakable(value=1), Unspeakable(value=object())]
        records = [Record(b"%d" % n, at_s, b"k", body) for n, body in enumerate(bodies)]
        return Polled(Decoded(records, []), b"1")


def test_defect_12_what_json_cannot_say_is_no_success_and_no_stand_in(tmp_path: Path) -> None:
    with make_engine(FaultySource(), [""], tmp_path) as bench:
        summary = bench.run_once()

        assert (summary.ending, summary.succeeded) == ("failed", False)
        assert "TypeError" in summary.message
        assert bench.spool.cursor() is None
        assert bench.kafka.visible() == []


@pytest.mark.parametrize("frp", ["nan", "inf", "1e999"])
def test_defect_12_a_number_without_a_value_is_a_dead_letter_as_it_came(
    frp: str, tmp_path: Path
) -> None:
    odd = row(50.2, frp=frp)

    with make_engine(firms(), [answer(row(50.1), odd)], tmp_path) as bench:
        bench.run_once()

        assert [m.json()["latitude"] for m in bench.kafka.visible(TOPIC)] == [50.1]
        assert [m.value for m in bench.kafka.visible(DLQ_TOPIC)] == [odd.encode()]


def test_defect_14_a_late_row_is_sent_and_a_restart_sends_nothing_again(tmp_path: Path) -> None:
    newest, late = row(50.1, acq_time="0000"), row(50.2, acq_time="0000")
    late = late.replace("2026-01-01", "2025-12-30")
    with make_engine(firms(), [answer(newest), answer(newest, late)], tmp_path) as bench:
        bench.run_once()
        second = bench.run_once()
        kafka, clock = bench.kafka, bench.clock

    with make_engine(firms(), [answer(newest, late)], tmp_path, kafka=kafka, clock=clock) as bench:
        after_restart = bench.run_once()

    assert second.ledger.published == 1
    assert (after_restart.ledger.duplicate, after_restart.ledger.published) == (2, 0)
    assert [m.json()["latitude"] for m in kafka.visible(TOPIC)] == [50.1, 50.2]


def test_defect_15_good_rows_pass_bad_ones_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    rows = [row(50 + n / 100) for n in range(20)]
    bad = {3: row("north"), 7: row(50.07, frp="-999"), 19: row(91.0)}
    rows = [bad.get(n, good) for n, good in enumerate(rows)]

    with make_engine(firms(), [answer(*rows)], tmp_path) as bench:
        counts = bench.run_once().ledger
        values = [m.json() for m in bench.kafka.visible(TOPIC)]
        letters = [m.value.decode() for m in bench.kafka.visible(DLQ_TOPIC)]

    assert (counts.fetched, counts.accepted, counts.rejected, counts.published) == (20, 17, 3, 20)
    assert {value["source_id"] for value in values} == {"firms_test"}
    expected = {50 + n / 100 for n in range(20)} - {50 + n / 100 for n in bad}
    assert {value["latitude"] for value in values} == expected
    assert sorted(letters) == sorted(bad.values())
