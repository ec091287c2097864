"""The spool keeps what it said it kept, in one piece, and gives nothing up that is still owed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.errors import SpoolCorrupt, SpoolFull
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import Packed, chain, digest_of
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import GENESIS, Spool, Tail
from wildfire_ingest.record import Lane
from wildfire_ingest_tests.intake.packing import OBSERVED_S, letter, packed

NOW_US = OBSERVED_S * SECOND_US
DAY_S = 86_400


def opened(folder: Path, **changes: object) -> Spool:
    known: dict[str, object] = {"window_s": DAY_S, "min_free_disk_bytes": 0, "source_id": "s"}
    return Spool(SpoolSettings(directory=folder, **{**known, **changes}))  # type: ignore[arg-type]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    one = opened(tmp_path / "state")
    yield one
    one.close()


def accepted(n: int) -> Ledger:
    return Ledger(fetched=n, accepted=n)


def seqs(spool: Spool, lane: Lane = Lane.NORMAL) -> list[int]:
    return [load.seq for load in spool.pending(lane, 0)]


def content(spool: Spool) -> tuple[object, ...]:
    return (
        spool.cursor(),
        spool.ledger(),
        [spool.tail(lane) for lane in Lane],
        [seqs(spool, lane) for lane in Lane],
        spool.meta("poll"),
    )


def test_a_poll_is_there_after_reopening(tmp_path: Path) -> None:
    first = opened(tmp_path)
    loads = first.append([packed(n=3)], b'"day 1"', accepted(3), NOW_US)
    sent, spool_id = first.read(loads[0], "dlq"), first.spool_id
    first.close()

    again = opened(tmp_path)

    assert again.spool_id == spool_id
    assert again.cursor() == b'"day 1"'
    assert again.ledger() == Ledger(fetched=3, accepted=3, pending=3)
    assert again.pending(Lane.NORMAL, 0) == loads
    from_disk = again.read(loads[0], "dlq")
    assert list(from_disk.values) == list(sent.values)
    assert list(from_disk.ids) == list(sent.ids)
    assert from_disk.sha256 == sent.sha256
    again.close()


@pytest.mark.parametrize("broken", ["second load", "quarantine"])
def test_a_poll_that_fails_in_the_middle_leaves_nothing(spool: Spool, broken: str) -> None:
    spool.append([packed()], b"1", accepted(1), NOW_US)
    before = content(spool)
    bad = Packed(*(None,) * len(Packed.__dataclass_fields__))  # type: ignore[arg-type]

    loads, kept = (
        ([packed(), bad], []) if broken == "second load" else ([packed()], [packed(), bad])
    )

    with pytest.raises((TypeError, AttributeError)):
        spool.append(loads, b"2", accepted(2), NOW_US, quarantined=kept)

    assert content(spool) == before


def test_an_error_of_the_database_leaves_nothing(spool: Spool) -> None:
    before = content(spool)

    def fail_halfway() -> None:
        with spool.transaction() as db:
            db.execute("INSERT INTO meta VALUES ('cursor', x'00')")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        fail_halfway()

    assert content(spool) == before


def test_each_lane_has_its_own_numbers_and_chain(spool: Spool) -> None:
    normal, low, more = packed(Lane.NORMAL), packed(Lane.LOW), packed(Lane.NORMAL)

    spool.append([normal, low, more], b"1", accepted(3), NOW_US)

    one = chain(GENESIS, digest_of(normal.ids, normal.payload))
    two = chain(one, digest_of(more.ids, more.payload))
    assert spool.tail(Lane.NORMAL) == Tail(2, two)
    assert spool.tail(Lane.LOW) == Tail(1, chain(GENESIS, digest_of(low.ids, low.payload)))
    assert spool.tail(Lane.HIGH) == Tail(0, GENESIS)
    assert [spool.sha256_at(Lane.NORMAL, seq) for seq in (1, 2, 3)] == [one, two, None]


def test_publishing_marks_everything_up_to_a_seq_once(spool: Spool) -> None:
    spool.append([packed(n=2, dead=1), packed(n=3), packed(n=4)], b"1", accepted(9), NOW_US)

    done = spool.mark_published({Lane.NORMAL: 2}, NOW_US, {Lane.NORMAL: 70})
    again = spool.mark_published({Lane.NORMAL: 2}, NOW_US, {})

    assert (done, again) == (5, 0)
    assert seqs(spool) == [3]
    assert spool.published_through(Lane.NORMAL) == 2
    books = spool.ledger()
    assert (books.published, books.dead, books.pending) == (5, 1, 4)
    assert books.faults() == ()
    assert spool.meta("k_offset.2") == 70


def test_a_row_readdressed_goes_to_the_dead_letter_topic_once(spool: Spool) -> None:
    (load,) = spool.append([packed(n=3)], b"1", accepted(3), NOW_US)
    spool.read(load, "dlq")

    spool.readdress(load, {1: letter()})
    spool.readdress(load, {1: letter("again")})

    out = spool.read(load, "dlq")
    assert list(out.topics) == ["wildfire-default", "dlq", "wildfire-default"]
    assert out.dead == {1: letter()}
    spool.mark_published({Lane.NORMAL: 1}, NOW_US, {})
    assert (spool.ledger().published, spool.ledger().dead) == (3, 1)


def test_a_row_readdressed_before_it_was_ever_sent_is_readdressed(spool: Spool) -> None:
    (load,) = spool.append([packed(n=2)], b"1", accepted(2), NOW_US)

    spool.readdress(load, {0: letter()})

    assert spool.read(load, "dlq").dead == {0: letter()}


@pytest.mark.parametrize("column", ["payloads SET payload", "ids SET ids"])
def test_damaged_bytes_are_found_when_read(tmp_path: Path, column: str) -> None:
    first = opened(tmp_path)
    (load,) = first.append([packed()], b"1", accepted(1), NOW_US)
    with first.transaction() as db:
        db.execute(f"UPDATE {column} = zeroblob(40)")
    first.close()

    again = opened(tmp_path)

    with pytest.raises(SpoolCorrupt, match="NORMAL 1 of s"):
        again.read(load, "dlq")
    again.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("poll"), st.lists(st.sampled_from(list(Lane)), max_size=3)),
        st.tuples(st.just("publish"), st.sampled_from(list(Lane))),
    ),
    max_size=14,
)


@given(steps, st.sets(st.sampled_from(list(Lane))))
@settings(max_examples=40, deadline=None)
def test_the_safe_cursor_stands_before_the_oldest_poll_with_something_unpublished(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, Any]], taking: set[Lane]
) -> None:
    spool = opened(tmp_path_factory.mktemp("spool"))
    polls: list[list[tuple[Lane, int]]] = []
    done: set[tuple[Lane, int]] = set()
    for kind, what in history:
        if kind == "poll":
            loads = spool.append([packed(x) for x in what], b"%d" % (len(polls) + 1), Ledger(), 1)
            polls.append([(load.lane, load.seq) for load in loads])
        elif (first := seqs(spool, what)[:1]) != []:
            spool.mark_published({what: first[0]}, 1, {})
            done.add((what, first[0]))
    taken = {lane: max(waiting) for lane in taking if (waiting := seqs(spool, lane))}

    found = spool.safe_cursor(taken)

    open_polls = [
        number
        for number, loads in enumerate(polls)
        if any(x not in done and x[1] > taken.get(x[0], 0) for x in loads)
    ]
    number = open_polls[0] if open_polls else len(polls)
    assert found == (b"%d" % number if number else None)
    spool.close()


def test_freeing_gives_up_published_payloads_only_and_only_after_their_time(spool: Spool) -> None:
    spool.append([packed(), packed()], b"1", accepted(2), NOW_US)
    spool.mark_published({Lane.NORMAL: 1}, NOW_US, {})

    assert spool.free(NOW_US + 59 * SECOND_US) == 0
    assert spool.free(NOW_US + 61 * SECOND_US) == 1

    spool.forget_fresh()
    (waiting,) = spool.pending(Lane.NORMAL, 0)
    assert list(spool.read(waiting, "dlq").values) == [b"v" * 10]


def test_what_waits_for_years_is_not_freed(spool: Spool) -> None:
    spool.append([packed(n=2)], b"1", accepted(2), NOW_US)

    spool.free(NOW_US + 3_000 * DAY_S * SECOND_US)

    assert seqs(spool) == [1]
    assert [len(rows) for rows in spool.index_rows()] == [2]


def test_the_last_published_load_still_says_where_the_chain_stands(spool: Spool) -> None:
    spool.append([packed(), packed()], b"1", accepted(2), NOW_US)
    spool.mark_published({Lane.NORMAL: 1}, NOW_US, {})
    expected = spool.sha256_at(Lane.NORMAL, 1)

    spool.free(NOW_US + 3_000 * DAY_S * SECOND_US)

    assert spool.sha256_at(Lane.NORMAL, 1) == expected is not None


def test_an_id_is_kept_as_long_as_the_window_may_ask_for_it(spool: Spool) -> None:
    old, young = packed(observed_s=OBSERVED_S - 3 * DAY_S), packed()
    spool.append([old, young, packed()], b"1", accepted(3), NOW_US)
    spool.mark_published({Lane.NORMAL: 3}, NOW_US, {})

    spool.free(NOW_US + 61 * SECOND_US)

    kept = {rows.tobytes() for rows in spool.index_rows()}
    assert old.ids not in kept
    assert young.ids in kept


def test_an_evicted_load_is_counted_and_its_ids_stay_known(spool: Spool) -> None:
    first, second = spool.append([packed(n=2), packed()], b"1", accepted(3), NOW_US)
    ids, payload = spool.raw(first)

    assert spool.evict([first], "spool_max_bytes", NOW_US) == 2

    assert seqs(spool) == [second.seq]
    assert (spool.ledger().evicted, spool.ledger().faults()) == (2, ())
    assert spool.gaps() == [(NOW_US, "evicted", "spool_max_bytes")]
    assert ids in [rows.tobytes() for rows in spool.index_rows()]
    assert payload.startswith(b"WFL1")


def test_rejects_without_a_dead_letter_topic_are_kept_and_counted(spool: Spool) -> None:
    counts = Ledger(fetched=3, accepted=1, rejected=2)

    spool.append([packed()], b"1", counts, NOW_US, quarantined=[packed(n=2, dead=2)])

    books = spool.ledger()
    assert (books.pending, books.quarantined, books.faults()) == (1, 2, ())


def test_a_disk_without_room_refuses_the_poll_whole(tmp_path: Path) -> None:
    spool = opened(tmp_path, min_free_disk_bytes=2**60)
    before = content(spool)

    with pytest.raises(SpoolFull, match="nothing is lost"):
        spool.append([packed()], b"1", accepted(1), NOW_US)

    assert content(spool) == before
    spool.close()
