"""A poll asks who is next, from far enough back, and one station that fails ends nothing."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.errors import (
    AnswerRefused,
    CircuitOpen,
    ConfigError,
    FetchError,
    SourceRejected,
    SourceUnavailable,
)
from wildfire_ingest.exchange import Answer
from wildfire_ingest.sources.catalog import CONNECTORS
from wildfire_ingest.sources.noaa_weather import FEWEST_TRIED, MOST_SILENT
from wildfire_ingest.sources.settings import NwsObservationsSettings
from wildfire_ingest_tests.sources.nws import HOUR_US, collection, feature, quantity
from wildfire_ingest_tests.sources.nws_polls import (
    BROKEN,
    EMPTY,
    MINUTE_US,
    NOON,
    NOT_FOUND,
    poll,
    queue,
    start,
    station,
    weather,
)

UNCHANGED = Answer(304, {}, b"", NOON, not_modified=True)
NO_TOKEN = SourceUnavailable("not asked", retry_after_s=9.0)


def test_a_station_is_asked_for_what_it_measured_since_an_hour():
    (request,), _ = poll(weather(stations=("ksac ",)), EMPTY)

    assert request.template == "/stations/KSAC/observations?start=2026-08-15T09:00:00Z&limit=500"
    assert request.headers == {"Accept": "application/geo+json"}
    assert (request.expects, request.may_be_missing) == ("json", True)


def test_one_request_has_all_stations_of_a_zone():
    body = collection(feature("KSAC"), feature("OAMC1"))

    (request,), polled = poll(weather(zones=("CAZ041",)), body)

    assert request.template.startswith("/zones/forecast/CAZ041/observations?start=2026-08-15T09:00")
    assert {r.partition_key for r in polled.decoded.records} == {b"KSAC", b"OAMC1"}


def test_the_same_poll_a_few_seconds_later_asks_the_same():
    source = weather(stations=("KSAC", "KSCK"), zones=("CAZ041",), requests_per_poll=2)
    cursor = poll(source, EMPTY)[1].cursor

    for later_us in (0, 7_000_000, 59 * MINUTE_US):
        assert poll(source, EMPTY, cursor, NOON + later_us)[0] == poll(source, EMPTY, cursor)[0]


def test_the_next_poll_goes_on_where_this_one_ended():
    source, cursor, asked = (
        weather(stations=("A1", "B2", "C3", "D4", "E5"), requests_per_poll=2),
        None,
        [],
    )

    for turn in range(5):
        requests, polled = poll(source, EMPTY, cursor, NOON + turn * 5 * MINUTE_US)
        asked += [station(request) for request in requests]
        cursor = polled.cursor

    assert asked[:5] == asked[5:]
    assert sorted(asked[:5]) == ["A1", "B2", "C3", "D4", "E5"]


def test_no_station_is_asked_twice_in_one_poll():
    requests, _ = poll(weather(stations=("KSAC", "ksac", "KSCK"), requests_per_poll=20), EMPTY)

    assert sorted(station(request) for request in requests) == ["KSAC", "KSCK"]


def test_after_an_outage_all_of_it_is_asked_for():
    source = weather(stations=("KSAC",))
    cursor = poll(source, EMPTY)[1].cursor

    (request,), polled = poll(source, collection(feature()), cursor, NOON + 50 * HOUR_US)

    assert start(request) == "2026-08-15T09:00:00Z"
    assert polled.decoded.notes == ()


def test_an_outage_longer_than_the_api_keeps_is_noted():
    source = weather(stations=("KSAC",))
    cursor = poll(source, EMPTY)[1].cursor

    (request,), polled = poll(source, collection(feature()), cursor, NOON + 200 * HOUR_US)

    assert start(request) == "2026-08-16T20:00:00Z"
    assert "KSAC" in polled.decoded.notes[0]
    assert "7 days" in polled.decoded.notes[0]


def test_an_unreadable_cursor_asks_for_all_there_is():
    (request,), _ = poll(weather(stations=("KSAC",)), EMPTY, b"not json")

    assert start(request) == "2026-08-08T12:00:00Z"


@pytest.mark.parametrize("said", [BROKEN, b"<html>", b'{"features": null}', AnswerRefused("x")])
def test_a_station_that_fails_keeps_its_older_start_and_ends_nothing(said):
    source = weather(stations=("KSAC", "PAFA"))
    cursor = poll(source, EMPTY)[1].cursor

    _, polled = poll(
        source,
        lambda request: said if station(request) == "PAFA" else collection(feature()),
        cursor,
        NOON + 2 * HOUR_US,
    )

    assert queue(polled) == {"KSAC": -2, "PAFA": 0}
    assert len(polled.decoded.records) == 1
    assert polled.decoded.notes[0].startswith("PAFA (")


def test_a_failure_is_noted_with_its_name():
    said = {"KSAC": EMPTY, "PAFA": BROKEN}

    _, polled = poll(weather(stations=tuple(said)), lambda request: said[station(request)])

    assert "UnexpectedProblem (correlationId 5316761a)" in polled.decoded.notes[0]


def test_a_station_without_data_is_no_failure_and_keeps_its_start():
    source = weather(stations=("KSAC",))
    cursor = poll(source, EMPTY)[1].cursor

    _, polled = poll(source, NOT_FOUND, cursor, NOON + 3 * HOUR_US)

    assert queue(polled) == {"KSAC": 0}
    assert polled.decoded.notes == ("KSAC: have no observations (404)",)


def test_a_404_of_somebody_else_is_a_failure():
    with pytest.raises(AnswerRefused, match="base_url"):
        poll(weather(stations=("KSAC",)), Answer(404, {}, b"<html>nginx", NOON))


def test_nothing_new_keeps_the_start():
    source = weather(stations=("KSAC",))
    cursor = poll(source, EMPTY)[1].cursor

    _, polled = poll(source, UNCHANGED, cursor, NOON + 3 * HOUR_US)

    assert (queue(polled), polled.decoded.rows) == ({"KSAC": 0}, 0)


def test_a_cached_answer_is_read_for_its_rows_may_never_have_been_stored():
    said = Answer(200, {}, collection(feature()), NOON, from_cache=True)

    _, polled = poll(weather(stations=("KSAC",)), said)

    assert polled.decoded.rows == 1


def test_a_poll_in_which_everything_failed_fails():
    stations = tuple(f"K{n:03}" for n in range(60))

    with pytest.raises(SourceUnavailable, match="UnexpectedProblem"):
        poll(weather(stations=stations, requests_per_poll=20), BROKEN)


def test_a_few_bad_stations_at_the_head_of_the_queue_hold_up_nobody():
    stations = tuple(f"K{n:03}" for n in range(20))
    first = [station(r) for r in poll(weather(stations=stations), EMPTY)[0][: FEWEST_TRIED - 1]]

    requests, polled = poll(
        weather(stations=stations, requests_per_poll=1),
        lambda request: BROKEN if station(request) in first else EMPTY,
    )

    assert len(requests) == FEWEST_TRIED
    assert list(queue(polled))[-FEWEST_TRIED:-1] == first


def test_where_nobody_replies_few_are_asked():
    requests = []

    def silence(request):
        requests.append(request)
        return SourceUnavailable("timed out")

    with pytest.raises(SourceUnavailable):
        poll(weather(stations=tuple(f"K{n:03}" for n in range(20))), silence)

    assert len(requests) == MOST_SILENT


@pytest.mark.parametrize(
    "error", [NO_TOKEN, CircuitOpen("open", retry_after_s=9), SourceUnavailable("", status=429)]
)
def test_where_nobody_may_be_asked_the_poll_ends_with_what_it_has(error):
    said = iter([collection(feature()), collection(feature()), error])
    source = weather(stations=tuple(f"K{n:03}" for n in range(9)))

    requests, polled = poll(source, lambda _: next(said))

    assert len(requests) == 3
    assert next(iter(queue(polled))) == station(requests[2])
    assert polled.decoded.rows == 2


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 25),
    budget=st.integers(1, 9),
    says=st.lists(st.sampled_from(["ok", "ok", "broken", "missing", "no token"]), max_size=150),
)
def test_every_station_has_its_turn_once_a_pass_whatever_fails(n, budget, says):
    source = weather(stations=tuple(f"K{i:03}" for i in range(n)), requests_per_poll=budget)
    outcomes, turns, cursor = iter(says), [], None
    kinds = {"ok": EMPTY, "broken": BROKEN, "missing": NOT_FOUND, "no token": NO_TOKEN}

    for number in range(30):
        tried: list[str] = []

        def reply(request, tried=tried):
            said = kinds[next(outcomes, "ok")]
            if said is not NO_TOKEN:
                tried.append(station(request))
            return said

        try:
            _, polled = poll(source, reply, cursor, NOON + number * HOUR_US)
        except FetchError:
            continue
        turns += tried
        cursor = polled.cursor

    passes = [turns[at : at + n] for at in range(0, len(turns) - n + 1, n)]
    assert passes
    assert all(sorted(one) == sorted(passes[0]) for one in passes)
    assert len(set(passes[0])) == n


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=12))
def test_no_hour_between_two_answers_is_left_out(polls):
    source, cursor, now_h, answered_h = weather(stations=("KSAC",)), None, NOON // HOUR_US, None

    for gap_h, is_ok in polls:
        now_h += gap_h
        try:
            (request,), polled = poll(source, EMPTY if is_ok else BROKEN, cursor, now_h * HOUR_US)
        except FetchError:
            continue
        asked_from_h = datetime.fromisoformat(start(request)).timestamp() / 3600
        if answered_h is not None:
            assert asked_from_h <= max(answered_h - 3, now_h - 168)
        cursor, answered_h = polled.cursor, now_h


def test_values_in_unknown_units_are_noted_once():
    body = collection(*[feature(windSpeed=quantity(1, "furlong"))] * 5)

    _, polled = poll(weather(stations=("KSAC",)), body)

    assert polled.decoded.notes == (
        "windSpeed in wmoUnit:furlong: values in units not known are left out",
    )


def test_only_the_measurements_asked_for_are_kept():
    body = collection(feature(dewpoint=quantity(9)), feature(temperature=quantity(None)))

    _, polled = poll(weather(stations=("KSAC",), data_types=("temperature",)), body)

    (record,) = polled.decoded.records
    assert (record.body.air_temperature_c, record.body.dewpoint_c) == (30.5, None)
    assert polled.decoded.filtered == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "stations, zones or state"),
        ({"stations": ("K SAC",)}, "KSAC"),
        ({"stations": ("../x",)}, "KSAC"),
        ({"stations": ("",)}, "KSAC"),
        ({"zones": ("CA041",)}, "CAZ041"),
        ({"state": "California"}, "CA"),
        ({"stations": ("KSAC",), "data_types": ("fuel",)}, "humidity.*wind_speed"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_would(changed, told):
    with pytest.raises(ConfigError, match=told):
        weather(**changed)


def test_the_window_is_longer_than_the_api_keeps_and_can_be_configured():
    assert weather(stations=("KSAC",)).window_s == 8 * 86_400
    assert weather(stations=("KSAC",), window_s=90_000).window_s == 90_000


def test_the_source_is_found_by_its_type():
    settings_ = NwsObservationsSettings(source_id="stations", stations=("KSAC",))

    source = CONNECTORS["noaa_weather"](settings_)

    assert (source.source_type, source.source_id) == ("noaa_weather", "stations")


def test_a_rejected_station_is_not_for_ever_the_end_of_the_others():
    said = {"KSAC": EMPTY, "BAD": SourceRejected("x", status=400, sample='"parameterErrors"')}

    _, polled = poll(weather(stations=tuple(said)), lambda request: said[station(request)])

    assert "BAD (NWS says BadRequest" in polled.decoded.notes[0]
