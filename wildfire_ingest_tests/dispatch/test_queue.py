"""The queue keeps every record, every lane's order, and everybody's turn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.dispatch.queue import BULK, EXPRESS, LoadQueue
from wildfire_ingest.dispatch.settings import QueueSettings
from wildfire_ingest.record import Lane, Load
from wildfire_ingest_tests.dispatch.loads import backlogs, load

SECOND_US = 1_000_000


def queue_of(*loads: Load, max_records: int = 10_000) -> LoadQueue:
    queue = LoadQueue(QueueSettings(max_records=max_records))
    for each in loads:
        assert queue.offer(each)
    return queue


def test_a_full_queue_asks_to_load_no_more_and_loses_nothing() -> None:
    queue = queue_of(load(Lane.LOW, 1, records=6), max_records=10)

    assert queue.room() == 4
    assert not queue.offer(load(Lane.LOW, 2, records=5))
    assert queue.take(BULK) == [load(Lane.LOW, 1, records=6)]
    assert queue.offer(load(Lane.LOW, 2, records=5))


def test_a_load_larger_than_the_whole_queue_is_admitted_when_it_is_alone() -> None:
    queue = queue_of(max_records=10)

    assert queue.offer(load(Lane.NORMAL, 1, records=5_000))
    assert queue.room() == 0


def test_defect_8_an_alert_is_admitted_to_a_queue_full_of_normal_records() -> None:
    queue = queue_of(load(Lane.NORMAL, 1, records=10), max_records=10)

    assert queue.offer(load(Lane.CRITICAL, 1))
    assert queue.take(EXPRESS) == [load(Lane.CRITICAL, 1)]


def test_defect_9_a_failed_send_comes_back_in_its_order_before_what_waits() -> None:
    queue = queue_of(*(load(Lane.NORMAL, seq) for seq in range(5)))
    taken = queue.take(BULK, max_records=3)

    queue.put_back(taken)

    assert [each.seq for each in queue.take(BULK)] == [0, 1, 2, 3, 4]


def test_a_load_may_come_back_re_addressed_to_the_dead_letter_topic() -> None:
    queue = queue_of(load(Lane.NORMAL, 1))
    (taken,) = queue.take(BULK)

    queue.put_back([replace(taken, dead=1)])

    assert queue.take(BULK)[0].dead == 1


def test_putting_back_what_was_never_taken_is_an_error() -> None:
    queue = queue_of(load(Lane.NORMAL, 1), load(Lane.NORMAL, 2))

    with pytest.raises(ValueError, match="only loads that were taken"):
        queue.put_back([load(Lane.NORMAL, 2)])
    with pytest.raises(ValueError, match="only loads that were taken"):
        queue.put_back([load(Lane.HIGH, 1)])


def test_offering_a_load_twice_is_an_error_even_after_it_was_taken() -> None:
    queue = queue_of(load(Lane.NORMAL, 1))
    queue.take(BULK)

    with pytest.raises(ValueError, match="in the order of its seq"):
        queue.offer(load(Lane.NORMAL, 1))


def test_critical_goes_before_high_and_all_of_it_at_once() -> None:
    queue = queue_of(
        load(Lane.HIGH, 1, records=700),
        load(Lane.CRITICAL, 1, records=800),
        load(Lane.HIGH, 2, records=900),
        load(Lane.CRITICAL, 2),
    )

    assert [(each.lane, each.seq) for each in queue.take(EXPRESS)] == [
        (Lane.CRITICAL, 1),
        (Lane.CRITICAL, 2),
        (Lane.HIGH, 1),
        (Lane.HIGH, 2),
    ]


@pytest.mark.parametrize("limit", [{"max_records": 1}, {"max_bytes": 1}])
def test_one_load_is_taken_even_if_it_is_larger_than_the_limits(limit: dict[str, int]) -> None:
    queue = queue_of(
        load(Lane.NORMAL, 1, records=5_000, n_bytes=9_999), load(Lane.NORMAL, 2, n_bytes=2)
    )

    assert [each.seq for each in queue.take(BULK, **limit)] == [1]


def test_a_large_urgent_load_is_not_overtaken_by_a_small_one_behind_it() -> None:
    queue = queue_of(load(Lane.CRITICAL, 1), load(Lane.CRITICAL, 2, records=50), load(Lane.HIGH, 1))

    assert [each.seq for each in queue.take(EXPRESS, max_records=10)] == [1]
    assert queue.take(EXPRESS, max_records=10) == [load(Lane.CRITICAL, 2, records=50)]


def test_normal_and_low_share_three_to_one_by_records() -> None:
    queue = queue_of(
        *(load(Lane.NORMAL, seq, records=10) for seq in range(300)),
        *(load(Lane.LOW, seq, records=5) for seq in range(600)),
    )

    taken = queue.take(BULK, max_records=2_000)

    low = sum(each.records for each in taken if each.lane is Lane.LOW)
    assert low == 500


def test_defect_26_low_is_served_while_normal_keeps_arriving() -> None:
    queue = queue_of(load(Lane.LOW, 1), load(Lane.NORMAL, 0))
    served: list[Lane] = []
    for seq in range(1, 6):
        served += [each.lane for each in queue.take(BULK, max_records=1)]
        queue.offer(load(Lane.NORMAL, seq))

    assert Lane.LOW in served


def test_defect_26_a_bulk_load_that_keeps_failing_is_not_in_the_way_of_an_alert() -> None:
    queue = queue_of(load(Lane.NORMAL, 1))
    for _ in range(3):
        queue.put_back(queue.take(BULK))

    queue.offer(load(Lane.CRITICAL, 1))

    assert queue.take(EXPRESS) == [load(Lane.CRITICAL, 1)]


def test_a_lane_without_a_rival_earns_no_credit() -> None:
    queue = queue_of(*(load(Lane.NORMAL, seq, records=100) for seq in range(10)))
    queue.take(BULK)
    for seq in range(10):
        queue.offer(load(Lane.LOW, seq, records=100))
    queue.offer(load(Lane.NORMAL, 10, records=100))

    assert queue.take(BULK, max_records=100)[0].lane is Lane.NORMAL


def test_what_a_lane_was_owed_is_settled_once_it_is_served_without_a_rival() -> None:
    queue = queue_of(load(Lane.NORMAL, 1, records=100), load(Lane.LOW, 1), load(Lane.LOW, 2))
    assert queue.take(BULK)[0].lane is Lane.NORMAL

    queue.offer(load(Lane.NORMAL, 2))
    queue.offer(load(Lane.LOW, 3))

    assert queue.take(BULK, max_records=1)[0].lane is Lane.NORMAL


@pytest.mark.parametrize(
    ("records", "age_s", "until_due_s"),
    [(499, 0, 5), (500, 0, 0), (1, 4, 1), (1, 5, 0), (1, 900, 0), (1, -3600, 0)],
)
def test_defect_27_bulk_records_gather_until_500_or_5_seconds(
    records: int, age_s: int, until_due_s: int
) -> None:
    created_at_us = 10_000 * SECOND_US
    queue = queue_of(load(Lane.LOW, 1, records=records, created_at_us=created_at_us))

    due = queue.until_due_us(BULK, created_at_us + age_s * SECOND_US)

    assert due == until_due_s * SECOND_US


def test_express_records_never_gather() -> None:
    queue = queue_of(load(Lane.HIGH, 1))

    assert queue.until_due_us(EXPRESS, 0) == 0
    assert queue.until_due_us(BULK, 0) is None


def test_an_evicted_load_is_forgotten_and_counted() -> None:
    queue = queue_of(*(load(Lane.LOW, seq, records=3) for seq in range(4)))

    dropped = queue.drop([load(Lane.LOW, 1, records=3), load(Lane.HIGH, 9, records=7)])

    assert dropped == 3
    assert [each.seq for each in queue.take(BULK)] == [0, 2, 3]
    assert queue.counts().dropped == 3


@given(backlogs(), st.data())
@settings(max_examples=150, deadline=None)
def test_every_record_is_accounted_for_and_every_lane_stays_in_order(
    backlog: list[Load], data: st.DataObject
) -> None:
    queue = LoadQueue(QueueSettings(max_records=200))
    to_offer = list(backlog)
    sent: list[Load] = []
    while to_offer or queue.counts().size:
        while to_offer and queue.offer(to_offer[0]):
            to_offer.pop(0)
        taken = queue.take(
            data.draw(st.sampled_from([EXPRESS, BULK, tuple(Lane)])),
            max_records=data.draw(st.integers(1, 100)),
            max_bytes=data.draw(st.integers(1, 4_000)),
        )
        failed_from = data.draw(st.integers(0, len(taken))) if data.draw(st.booleans()) else None
        if failed_from is None:
            sent += taken
        else:
            sent += taken[:failed_from]
            queue.put_back(taken[failed_from:])
        counts = queue.counts()
        entered = counts.enqueued + counts.put_back
        assert entered == counts.dequeued + counts.dropped + counts.size
        assert counts.size == sum(counts.size_by_lane) <= counts.peak
        assert counts.size <= 200 + len(Lane) * 50

    for lane in Lane:
        expected = [each for each in backlog if each.lane is lane]
        assert [each for each in sent if each.lane is lane] == expected


@given(
    st.lists(st.integers(1, 50), min_size=20, max_size=60),
    st.lists(st.integers(1, 50), min_size=20, max_size=60),
    st.integers(1, 200),
)
@settings(max_examples=100, deadline=None)
def test_shares_never_stray_further_than_one_load_of_each(
    normal: list[int], low: list[int], per_take: int
) -> None:
    queue = queue_of(
        *(load(Lane.NORMAL, seq, records=n) for seq, n in enumerate(normal)),
        *(load(Lane.LOW, seq, records=n) for seq, n in enumerate(low)),
    )
    served = dict.fromkeys(BULK, 0)
    left = {Lane.NORMAL: len(normal), Lane.LOW: len(low)}
    while True:
        for each in queue.take(BULK, max_records=per_take):
            if not all(left.values()):
                return
            served[each.lane] += each.records
            left[each.lane] -= 1
            assert -3 * 50 <= served[Lane.NORMAL] - 3 * served[Lane.LOW] <= 50
