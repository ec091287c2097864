"""The queue turns fairly, misses nobody and stays small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.sources import nws_rotation as rotation
from wildfire_ingest.sources.nws_rotation import Target

NAMES = st.lists(st.from_regex(r"[A-Z0-9]{3,6}", fullmatch=True), unique=True, max_size=40)
HOUR = 496_000


@given(
    st.lists(
        st.tuples(st.from_regex(r"(zone/)?[A-Z0-9]{3,6}", fullmatch=True), st.integers(0, 600_000)),
        max_size=40,
    )
)
def test_a_queue_is_read_as_it_was_written(queue):
    targets = [Target(*one) for one in queue]

    found = rotation.decode(rotation.encode(targets, "CA", 20_000))

    assert found is not None
    assert (found.targets, found.state, found.listed_day) == (targets, "CA", 20_000)


@pytest.mark.parametrize(
    "cursor", [None, b"", b"no json", b"[]", b'{"queue":[["x",1]]}', b'{"queue":' + b"[" * 90_000]
)
def test_a_cursor_that_cannot_be_read_is_none(cursor):
    assert rotation.decode(cursor) is None


def test_a_name_that_is_none_does_not_get_into_a_request():
    found = rotation.decode(b'{"queue":[[496000,"KSAC ../x KSCK?a=b "]]}')

    assert found is not None
    assert found.targets == [Target("KSAC", HOUR)]


@given(NAMES, NAMES)
def test_a_new_list_keeps_who_stays_in_order_and_puts_new_ones_first(old, wanted):
    queue = [Target(name, HOUR - 9) for name in old]

    found = rotation.merged(queue, wanted, HOUR)

    staying = [target for target in queue if target.name in wanted]
    assert found[len(found) - len(staying) :] == staying
    assert sorted(target.name for target in found) == sorted(wanted)
    assert {t.asked_h for t in found if t.name not in old} <= {HOUR}


def test_stations_of_one_network_do_not_stand_together():
    names = [f"CA{number:03}" for number in range(300)] + [f"K{n:03}" for n in range(300)]

    first = [target.name[0] for target in rotation.merged([], names, HOUR)[:100]]

    assert 25 < first.count("C") < 75


@pytest.mark.parametrize(
    ("asked_h", "start_h", "is_cut"),
    [
        (HOUR, HOUR - 3, False),
        (HOUR - 50, HOUR - 53, False),
        (HOUR - 168, HOUR - 168, False),
        (HOUR - 169, HOUR - 168, True),
        (HOUR + 1, HOUR - 2, False),
        (HOUR + 9_000, HOUR - 168, False),
    ],
)
def test_the_start_reaches_back_over_the_whole_outage_as_far_as_the_api_goes(
    asked_h, start_h, is_cut
):
    assert rotation.since(Target("KSAC", asked_h), HOUR) == rotation.Since(start_h, is_cut=is_cut)


def test_the_cursor_of_a_large_state_stays_small():
    queue = [Target(f"{number:06}", HOUR - number // 60 % 7) for number in range(1_500)]
    for failed in range(0, 1_500, 50):
        queue[failed] = Target(queue[failed].name, HOUR - 20)

    assert len(rotation.encode(queue, "CA", 20_000)) < 12_000
