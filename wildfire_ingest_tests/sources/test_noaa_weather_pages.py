"""Lists over several pages: of one station's rows, and of a state's stations."""

import pytest

from wildfire_ingest.errors import FetchError
from wildfire_ingest_tests.sources.nws import HOUR_US, collection, feature, station_list
from wildfire_ingest_tests.sources.nws_polls import (
    BROKEN,
    EMPTY,
    MINUTE_US,
    NOON,
    poll,
    queue,
    station,
    weather,
)


def page(number, rows=500):
    link = f"https://elsewhere.example/x?cursor=c{number + 1}&limit=500"
    return collection(*[feature(at=f"2026-08-1{number}T12:00:00Z")] * rows, next_url=link)


def test_a_full_page_is_followed_on_the_same_server_and_a_short_one_is_the_last():
    said = iter([page(1), page(2), page(3, rows=3)])

    requests, polled = poll(weather(stations=("KSAC",)), lambda _: next(said))

    assert [r.template for r in requests[1:]] == [
        "/stations/KSAC/observations?cursor=c2&limit=500",
        "/stations/KSAC/observations?cursor=c3&limit=500",
    ]
    assert polled.decoded.rows == 1_003


def test_a_later_page_that_fails_keeps_its_rows_and_the_older_start():
    source = weather(stations=("KSAC", "KSCK"))
    cursor = poll(source, EMPTY)[1].cursor
    said = iter([page(1), BROKEN, EMPTY])

    requests, polled = poll(source, lambda _: next(said), cursor, NOON + 9 * HOUR_US)

    assert polled.decoded.rows == 500
    assert queue(polled)[station(requests[0])] == 0


def test_pages_without_end_are_left_and_noted():
    requests, polled = poll(weather(stations=("KSAC",)), page(1))

    assert len(requests) == 20
    assert "oldest rows are missing" in polled.decoded.notes[0]


def of_state(request, names=("KSAC", "KSCK", "OAMC1")):
    """An API with one page of stations, whose link leads to an empty one."""
    if not request.template.startswith("/stations?"):
        return EMPTY
    return EMPTY if "cursor" in request.template else station_list(*names, next_url="/x?cursor=abc")


def test_the_stations_of_a_state_are_listed_and_then_asked():
    requests, polled = poll(weather(state="CA"), of_state)

    assert [r.template for r in requests[:2]] == [
        "/stations?state=CA&limit=500",
        "/stations?cursor=abc",
    ]
    assert all(r.whole and not r.may_be_missing for r in requests[:2])
    assert {station(r) for r in requests[2:]} == set(queue(polled)) == {"KSAC", "KSCK", "OAMC1"}


def test_the_list_is_read_once_a_day():
    source = weather(state="CA")
    cursor = poll(source, of_state)[1].cursor

    today, _ = poll(source, of_state, cursor, NOON + 11 * HOUR_US)
    tomorrow, polled = poll(
        source, lambda r: of_state(r, ("KSAC", "NEW1")), cursor, NOON + 12 * HOUR_US
    )

    assert not [r for r in today if r.template.startswith("/stations?")]
    assert [r for r in tomorrow if r.template.startswith("/stations?")]
    assert set(queue(polled)) == {"KSAC", "NEW1"}


def test_where_the_list_fails_the_known_stations_are_asked_and_it_is_noted():
    source = weather(state="CA")
    cursor = poll(source, of_state)[1].cursor

    requests, polled = poll(
        source,
        lambda r: BROKEN if r.template.startswith("/stations?") else EMPTY,
        cursor,
        NOON + 24 * HOUR_US,
    )

    assert len(requests) == 4
    assert "UnexpectedProblem" in polled.decoded.notes[0]


@pytest.mark.parametrize("said", [BROKEN, EMPTY, b'{"type": "FeatureCollection", "features": [1]}'])
def test_a_first_list_that_brings_no_station_fails_the_poll(said):
    with pytest.raises(FetchError):
        poll(weather(state="CA"), said)


def test_another_state_in_the_configuration_is_another_list():
    cursor = poll(weather(state="CA"), of_state)[1].cursor

    _, polled = poll(weather(state="OR"), lambda r: of_state(r, ("KPDX",)), cursor)

    assert set(queue(polled)) == {"KPDX"}


def test_the_poll_of_a_large_state_leaves_a_cursor_under_12_kilobytes():
    names = tuple(f"CA{n:04}" for n in range(1_500))
    source, cursor = weather(state="CA", requests_per_poll=60), b""
    for turn in range(30):
        _, polled = poll(
            source,
            lambda r: BROKEN if "77/" in r.template else of_state(r, names),
            cursor or None,
            NOON + turn * 20 * MINUTE_US,
        )
        cursor = polled.cursor

    assert len(cursor) < 12_000
