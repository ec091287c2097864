"""What goes when something has to go: the least urgent first, alerts never by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.dispatch.eviction import Victims, choose_expired, choose_victims
from wildfire_ingest.dispatch.settings import Overflow
from wildfire_ingest.record import Lane, Load
from wildfire_ingest_tests.dispatch.loads import backlogs, load

STRATEGIES: tuple[Overflow, ...] = ("drop_oldest", "drop_newest", "block")
STORED = [
    load(Lane.CRITICAL, 1, records=10),
    load(Lane.NORMAL, 1, records=10),
    load(Lane.LOW, 1, records=10),
    load(Lane.LOW, 2, records=10),
    load(Lane.NORMAL, 2, records=10),
]


def test_nothing_is_dropped_while_nothing_is_needed() -> None:
    assert choose_victims(STORED, need_records=0, strategy="drop_oldest") == Victims()


def test_drop_oldest_begins_with_the_oldest_of_the_lowest_lane() -> None:
    victims = choose_victims(
        STORED, need_records=15, incoming=load(Lane.NORMAL, 3, records=15), strategy="drop_oldest"
    )

    assert victims == Victims(evict=(STORED[2], STORED[3]))


def test_drop_newest_refuses_what_comes_in_when_nothing_less_urgent_waits() -> None:
    victims = choose_victims(
        STORED, need_records=10, incoming=load(Lane.LOW, 3, records=10), strategy="drop_newest"
    )

    assert victims == Victims(refuse_incoming=True)


def test_drop_newest_takes_the_newest_of_the_lowest_lane_before_a_more_urgent_incoming() -> None:
    victims = choose_victims(
        STORED, need_records=10, incoming=load(Lane.HIGH, 3, records=10), strategy="drop_newest"
    )

    assert victims == Victims(evict=(STORED[3],))


def test_drop_oldest_refuses_an_incoming_load_less_urgent_than_all_that_waits() -> None:
    stored = [load(Lane.HIGH, 1, records=10)]

    victims = choose_victims(
        stored, need_records=10, incoming=load(Lane.LOW, 1, records=10), strategy="drop_oldest"
    )

    assert victims == Victims(refuse_incoming=True)


def test_nothing_is_evicted_in_vain_for_an_incoming_load_that_has_to_be_refused() -> None:
    stored = [load(Lane.LOW, 1, records=5)]

    victims = choose_victims(
        stored, need_records=50, incoming=load(Lane.NORMAL, 1, records=50), strategy="drop_newest"
    )

    assert victims == Victims(refuse_incoming=True)


def test_block_drops_nothing() -> None:
    assert choose_victims(STORED, need_bytes=1, strategy="block") == Victims(block=True)


@pytest.mark.parametrize("strategy", ["drop_oldest", "drop_newest"])
def test_defect_8_an_incoming_alert_makes_room_among_normal_records(strategy: Overflow) -> None:
    stored = [load(Lane.NORMAL, 1, records=10), load(Lane.NORMAL, 2, records=10)]

    victims = choose_victims(
        stored, need_records=3, incoming=load(Lane.CRITICAL, 1, records=3), strategy=strategy
    )

    assert victims == Victims(evict=(stored[0 if strategy == "drop_oldest" else 1],))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_alerts_among_alerts_block_instead_of_being_dropped(strategy: Overflow) -> None:
    stored = [load(Lane.CRITICAL, 1, records=10), load(Lane.LOW, 1, records=1)]

    victims = choose_victims(
        stored, need_records=10, incoming=load(Lane.CRITICAL, 2, records=10), strategy=strategy
    )

    assert victims == Victims(block=True)


def test_alerts_go_last_where_it_is_allowed() -> None:
    victims = choose_victims(
        STORED, need_records=41, strategy="drop_oldest", allow_drop_critical=True
    )

    assert [each.lane for each in victims.evict] == [3, 3, 2, 2, 0]


def test_expired_loads_go_least_urgent_first_and_alerts_stay() -> None:
    old = [replace(each, created_at_us=5) for each in STORED]
    young = load(Lane.LOW, 9, created_at_us=50)

    victims = choose_expired([*old, young], created_before_us=10, strategy="drop_oldest")

    assert victims == Victims(evict=(old[2], old[3], old[1], old[4]))


@pytest.mark.parametrize(
    ("strategy", "incoming", "expected"),
    [
        ("block", Lane.LOW, Victims(block=True)),
        ("drop_newest", Lane.LOW, Victims(refuse_incoming=True)),
        ("drop_newest", Lane.CRITICAL, Victims()),
    ],
)
def test_an_age_limit_without_drop_oldest_stops_what_comes_in(
    strategy: Overflow, incoming: Lane, expected: Victims
) -> None:
    stored = [load(Lane.NORMAL, 1, created_at_us=5)]

    victims = choose_expired(
        stored, created_before_us=10, strategy=strategy, incoming_lane=incoming
    )

    assert victims == expected


def test_an_age_limit_drops_nothing_that_is_young_enough() -> None:
    stored = [load(Lane.LOW, 1, created_at_us=10)]

    assert choose_expired(stored, created_before_us=10, strategy="drop_oldest") == Victims()


@given(
    backlogs(),
    st.integers(0, 600),
    st.integers(0, 9_000),
    st.none() | st.tuples(st.sampled_from(Lane), st.integers(1, 300), st.integers(1, 5_000)),
    st.sampled_from(STRATEGIES),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_more_urgent_load_never_goes_before_a_less_urgent_one(
    stored: list[Load],
    need_records: int,
    need_bytes: int,
    shape: tuple[Lane, int, int] | None,
    strategy: Overflow,
    allow: bool,
) -> None:
    incoming = shape and load(shape[0], 10_000, records=shape[1], n_bytes=shape[2])
    victims = choose_victims(
        stored,
        need_records=need_records,
        need_bytes=need_bytes,
        incoming=incoming,
        strategy=strategy,
        allow_drop_critical=allow,
    )
    kept = [each for each in stored if each not in victims.evict]

    assert len(kept) + len(victims.evict) == len(stored)
    assert all(
        gone.lane >= stay.lane for gone in victims.evict for stay in kept if _droppable(stay)
    )
    assert allow or all(gone.lane is not Lane.CRITICAL for gone in victims.evict)
    if victims.block:
        assert not victims.evict
        assert not victims.refuse_incoming
    else:
        gone = [*victims.evict, *([incoming] if victims.refuse_incoming and incoming else [])]
        assert sum(each.records for each in gone) >= need_records
        assert sum(each.n_bytes for each in gone) >= need_bytes
    if victims.refuse_incoming:
        assert incoming is not None
        assert incoming.lane is not Lane.CRITICAL
    for lane in Lane:
        _assert_taken_from_one_end(
            [each for each in stored if each.lane is lane],
            victims,
            oldest=strategy == "drop_oldest",
        )


def _droppable(stay: Load) -> bool:
    return stay.lane is not Lane.CRITICAL


def _assert_taken_from_one_end(lane: list[Load], victims: Victims, *, oldest: bool) -> None:
    gone = [each for each in lane if each in victims.evict]
    n = len(gone)
    assert gone == (lane[:n] if oldest else lane[len(lane) - n :])
