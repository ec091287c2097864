"""`enable_dlq: false`: what no topic takes is kept in the spool and counted; the rest goes on.

And with dead letters: of a record too large for any topic the whole is kept beside its letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest import assembly
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.events import DeadLettered, Degraded
from wildfire_ingest.intake.giants import TRUNCATED_BYTES
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import unpack
from wildfire_ingest.record import Lane, Outgoing
from wildfire_ingest.testing import (
    DLQ_TOPIC,
    TOPIC,
    Bench,
    FakeKafka,
    FakeSource,
    Message,
    make_engine,
)
from wildfire_ingest_tests.engine.lines import line, lines

GIANT = "x" * 1_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_engine(FakeSource(), [lines(4)], tmp_path, dlq_enabled=False) as one:
        yield one


def quarantine(bench: Bench) -> list[tuple[int, Outgoing]]:
    """How many rows each entry counts for, and what it holds."""
    with bench.spool.transaction() as db:
        rows = db.execute("SELECT n, ids, payload FROM quarantine ORDER BY id").fetchall()
    return [(n, unpack(Lane.NORMAL, 0, b"", ids, payload)) for n, ids, payload in rows]


def stations(kept: Outgoing) -> list[str]:
    return [msgspec.json.decode(value)["station"] for value in kept.values]


def refuse(bench: Bench, *names: str) -> None:
    bench.kafka.refuse = lambda m: m.json()["station"] in names


def counted_by_kafka(kafka: FakeKafka) -> int:
    return sum(stored.record.records for stored in kafka.offsets("source").lanes.values())


@pytest.mark.parametrize("enabled", [True, False])
def test_the_configurations_word_reaches_the_engine(enabled: bool) -> None:
    source = {"source_id": "firms", "source_type": "nasa_firms"}
    config = StreamConfig.model_validate({"enable_dlq": enabled, "sources": {"firms": source}})

    assert assembly.engine_settings(config, FakeSource("firms")).dlq_enabled is enabled


# a giant


def test_a_giant_stays_here_whole_and_the_other_rows_go_on(bench: Bench) -> None:
    bench.api.reply_with(lines(2) + line("giant", GIANT) + lines(1, prefix="t"))

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=4, accepted=4, published=3, quarantined=1)
    assert (summary.ending, summary.ledger_faults) == ("done", ())
    assert [m.json()["station"] for m in bench.kafka.visible()] == ["s0", "s1", "t0"]
    ((n, kept),) = quarantine(bench)
    assert (n, msgspec.json.decode(kept.values[0])["value"]) == (1, GIANT)
    assert kept.topics == [TOPIC]
    assert (kept.dead[0].error_class, "1000" in kept.dead[0].reason) == ("too_large", True)


def test_nothing_but_a_giant_is_no_load(bench: Bench) -> None:
    bench.api.reply_with(line("giant", GIANT))

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=1, accepted=1, quarantined=1)
    assert (summary.ledger_faults, summary.transactions) == ((), 0)
    assert bench.kafka.visible() == []


def test_a_giant_is_quarantined_once_also_after_a_restart(tmp_path: Path) -> None:
    for again in range(2):
        with make_engine(
            FakeSource(), [line("giant", GIANT)], tmp_path, dlq_enabled=False
        ) as bench:
            books = bench.run_once().ledger
            assert (books.quarantined, books.duplicate) == ((0, 1) if again else (1, 0))


def test_a_giants_letter_names_where_the_whole_is_and_it_is_counted_once(tmp_path: Path) -> None:
    body = lines(1) + line("giant", GIANT)
    with make_engine(FakeSource(), [body], tmp_path) as bench:
        summary = bench.run_once()

        assert summary.ledger == Ledger(fetched=2, accepted=2, published=2, dead=1)
        assert summary.ledger_faults == ()
        (letter,) = bench.kafka.visible(DLQ_TOPIC)
        ((n, kept),) = quarantine(bench)
    assert letter.dead is not None
    assert (len(letter.value), kept.values[0][:TRUNCATED_BYTES]) == (TRUNCATED_BYTES, letter.value)
    assert (n, msgspec.json.decode(kept.values[0])["value"]) == (0, GIANT)
    assert kept.ids == [letter.id.encode()]
    assert letter.dead.reason.endswith(f"in the spool's quarantine under id {letter.id}")


# a record that the broker refuses (E1)


def test_a_refused_record_stays_here_and_the_others_go_on(bench: Bench) -> None:
    refuse(bench, "s2")

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=4, accepted=4, published=3, quarantined=1)
    assert (summary.ending, summary.ledger_faults) == ("done", ())
    assert [m.json()["station"] for m in bench.kafka.visible()] == ["s0", "s1", "s3"]
    assert DLQ_TOPIC not in {m.topic for m in bench.kafka.written()}
    ((n, kept),) = quarantine(bench)
    assert (n, stations(kept), kept.topics) == (1, ["s2"], [TOPIC])
    assert (kept.dead[0].stage, kept.dead[0].attempts) == ("broker", 4)
    assert counted_by_kafka(bench.kafka) == 3


def test_a_person_is_told_of_a_refused_record(bench: Bench) -> None:
    refuse(bench, "s2")

    bench.run_once()

    (told,) = bench.events.of(Degraded)
    assert told.reason.startswith("NORMAL: 1 records quarantined, dead letters are off: ")
    assert bench.events.of(DeadLettered) == []


def test_a_load_of_which_everything_is_refused_holds_nothing_up(bench: Bench) -> None:
    refuse(bench, "s0", "s1", "s2", "s3")
    bench.run_once()
    bench.api.reply_with(lines(2, prefix="t"))

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger_faults) == ("done", 2, ())
    assert bench.spool.ledger() == Ledger(fetched=6, accepted=6, published=2, quarantined=4)


def test_rows_that_were_dead_letters_already_stay_dead_letters(tmp_path: Path) -> None:
    """Dead letters were switched off while some waited."""

    def crash(name: str) -> None:
        if name == "dlq.after_readdress":
            raise KeyboardInterrupt

    kafka = FakeKafka()
    with make_engine(FakeSource(), [lines(4)], tmp_path, kafka=kafka) as on:
        refuse(on, "s2")
        on.crash = crash
        on.run_once()
    kafka.refuse = lambda m: m.topic == TOPIC and m.json()["station"] == "s0"
    with make_engine(FakeSource(), [""], tmp_path, kafka=kafka, dlq_enabled=False) as off:
        summary = off.run_once()
        assert [stations(kept) for _, kept in quarantine(off)] == [["s0"]]

    assert (summary.ending, summary.ledger_faults) == ("done", ())
    assert (summary.ledger.published, summary.ledger.dead) == (3, 1)
    assert [m.json()["station"] for m in kafka.visible(TOPIC)] == ["s1", "s3"]
    assert [m.json()["station"] for m in kafka.visible(DLQ_TOPIC)] == ["s2"]


CRASHES = ("dlq.after_readdress", "txn.half_produced", "txn.after_commit", "spool.after_published")


@given(
    st.sets(st.integers(0, 5)),
    st.lists(st.sampled_from(CRASHES), max_size=2),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_wherever_a_run_dies_everything_is_there_once_or_kept(
    tmp_path_factory: pytest.TempPathFactory, bad: set[int], crashes: list[str], enabled: bool
) -> None:
    folder, kafka = tmp_path_factory.mktemp("spool"), FakeKafka()
    names = {f"s{n}" for n in bad}

    def refuses(message: Message) -> bool:
        return message.topic == TOPIC and message.json()["station"] in names

    kafka.refuse = refuses

    def run(crash: str | None) -> tuple[str, Ledger, list[str]]:
        with make_engine(
            FakeSource(), [lines(6)], folder, kafka=kafka, dlq_enabled=enabled, max_retries=0
        ) as bench:
            bench.crash = _dying_at(crash)
            ending = bench.run_once().ending
            told = [event.reason for event in bench.events.of(Degraded)]
            return ending, bench.spool.ledger(), told

    for crash in (*crashes, None):
        run(crash)
    ending, books, told = run(None)

    ids = [m.id for m in kafka.visible()]
    assert (ending, books.pending, books.faults()) == ("done", 0, ())
    assert len(ids) == len(set(ids)) == books.published == counted_by_kafka(kafka)
    assert {m.json()["station"] for m in kafka.visible(TOPIC)} == {
        f"s{n}" for n in range(6) if n not in bad
    }
    assert (books.dead, books.quarantined) == ((len(bad), 0) if enabled else (0, len(bad)))
    assert [reason for reason in told if "audit" in reason or "adopted" in reason] == []


def _dying_at(crash: str | None) -> Callable[[str], None]:
    def die(name: str) -> None:
        if name == crash:
            raise KeyboardInterrupt

    return die
