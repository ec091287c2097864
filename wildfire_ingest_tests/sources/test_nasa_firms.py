"""A FIRMS poll asks for whole UTC days, as many as can hold new rows, and keeps no newest time."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import AnswerRefused, ConfigError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Answer, Secret
from wildfire_ingest.sources.catalog import CONNECTORS
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms

KEY = Secret("0123456789abcdef0123456789abcdef")
HOUR_US = 3_600_000_000
HEADER = (
    b"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,"
    b"confidence,version,bright_ti5,frp,daynight\n"
)
ROW = b"50.50677,-120.79179,330.73,0.4,0.37,2025-04-03,2055,N,VIIRS,n,2.0NRT,288.08,3.59,D\n"


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def firms(**settings):
    return NasaFirms(FirmsSettings(source_id="firms", **{"map_key": KEY} | settings))


def asked(source, cursor, now_us):
    return next(source.poll(cursor, now_us))


def answered(source, cursor, now_us, body=HEADER, **answer):
    poll = source.poll(cursor, now_us)
    next(poll)
    with pytest.raises(StopIteration) as ended:
        poll.send(Answer(status=200, headers={}, body=body, received_at_us=now_us, **answer))
    return ended.value.value


def days(source, cursor, now_us):
    return int(asked(source, cursor, now_us).template.rsplit("/", 1)[1])


def test_the_request_names_key_product_area_and_days_and_hides_the_key():
    request = asked(
        firms(product="MODIS_NRT", area="-125,32,-114,42"), None, at("2026-08-15T12:00")
    )

    assert request.template == "/api/area/csv/{map_key}/MODIS_NRT/-125,32,-114,42/1"
    assert request.secrets == {"map_key": KEY}
    assert KEY.reveal() not in repr(request)


@pytest.mark.parametrize(
    ("product", "span", "region", "path"),
    [
        ("MODIS_NRT", "24h", "Global", "modis-c6.1/csv/MODIS_C6_1_Global_24h.csv"),
        ("VIIRS_SNPP_NRT", "7d", "Canada", "suomi-npp-viirs-c2/csv/SUOMI_VIIRS_C2_Canada_7d.csv"),
        ("VIIRS_NOAA20_NRT", "48h", "Global", "noaa-20-viirs-c2/csv/J1_VIIRS_C2_Global_48h.csv"),
        ("VIIRS_NOAA21_NRT", "24h", "Global", "noaa-21-viirs-c2/csv/J2_VIIRS_C2_Global_24h.csv"),
    ],
)
def test_a_static_file_needs_no_key(product, span, region, path):
    source = firms(
        feed="static", map_key=None, product=product, static_span=span, static_region=region
    )

    request = asked(source, None, at("2026-08-15T12:00"))

    assert (request.template, request.secrets) == ("/data/active_fire/" + path, {})


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (None, "2026-08-15T12:00", 1),
        (None, "2026-08-15T00:00", 2),
        (None, "2026-08-15T03:59", 2),
        (None, "2026-08-15T04:00", 1),
        ("2026-08-15T11:55", "2026-08-15T12:00", 1),
        ("2026-08-14T23:58", "2026-08-15T00:03", 2),
        ("2026-08-15T03:58", "2026-08-15T04:03", 2),
        ("2026-08-15T04:03", "2026-08-15T04:08", 1),
        ("2026-08-15T01:00", "2026-08-15T12:00", 3),
        ("2026-08-13T12:00", "2026-08-15T12:00", 3),
        ("2026-08-12T12:00", "2026-08-15T12:00", 4),
        ("2026-08-01T12:00", "2026-08-15T12:00", 5),
        ("2027-08-15T12:00", "2026-08-15T12:00", 5),
    ],
)
def test_as_many_days_are_asked_for_as_can_hold_new_rows(last, now, expected):
    cursor = json.dumps({"polled_at_s": at(last) // 1_000_000}).encode() if last else None

    assert days(firms(), cursor, at(now)) == expected


def test_the_configured_day_range_is_the_least():
    assert days(firms(day_range=4), None, at("2026-08-15T12:00")) == 4


def test_an_unreadable_cursor_asks_for_all_there_is():
    assert days(firms(), b"not json", at("2026-08-15T12:00")) == 5


def test_the_cursor_is_the_time_of_the_poll_and_not_of_its_rows():
    year_ahead = ROW.replace(b"2025-04-03", b"2027-08-15")

    polled = answered(firms(), None, at("2026-08-15T12:00"), HEADER + year_ahead + ROW)

    assert len(polled.decoded.records) == 2
    assert json.loads(polled.cursor) == {"polled_at_s": at("2026-08-15T12:00") // 1_000_000}


def test_a_row_older_than_one_seen_before_is_read_all_the_same():
    source = firms()
    newer = answered(source, None, at("2025-04-03T22:00"), HEADER + ROW)

    older = ROW.replace(b"2055", b"1831")
    polled = answered(source, newer.cursor, at("2025-04-03T22:05"), HEADER + ROW + older)

    assert len(polled.decoded.records) == 2


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=8))
def test_the_cursor_never_goes_back(hours):
    source, cursor, reached = firms(), None, 0

    for hour in hours:
        cursor = answered(source, cursor, hour * HOUR_US).cursor
        assert json.loads(cursor)["polled_at_s"] >= reached
        reached = json.loads(cursor)["polled_at_s"]

    assert reached == max(hours) * 3600


@given(gap_h=st.integers(0, 96), now_h=st.integers(500_000, 500_100))
def test_no_row_of_the_last_five_days_can_be_missed(gap_h, now_h):
    source = firms()
    cursor = answered(source, None, (now_h - gap_h) * HOUR_US).cursor

    asked_from_h = (now_h // 24 - days(source, cursor, now_h * HOUR_US) + 1) * 24

    unseen_from_h = now_h - gap_h - 4  # published up to 4 h after the scan
    assert asked_from_h <= max(unseen_from_h, (now_h // 24 - 4) * 24)


@pytest.mark.parametrize(
    ("product", "area", "day_range", "units"),
    [
        ("VIIRS_SNPP_NRT", "world", 5, 180),
        ("MODIS_NRT", "world", 1, 9),
        ("VIIRS_NOAA20_NRT", "-100,40,-99,41", 5, 10),
        ("VIIRS_NOAA21_NRT", "-125,32,-114,42", 1, 2),
        ("MODIS_NRT", "-180,15,-65,72", 1, 1),
    ],
)
def test_a_request_costs_what_the_quota_counts(product, area, day_range, units):
    source = firms(product=product, area=area, day_range=day_range)

    assert asked(source, None, at("2026-08-15T12:00")).cost == units


def test_not_modified_is_a_successful_poll_of_nothing():
    polled = answered(firms(), None, at("2026-08-15T12:00"), b"", not_modified=True)

    assert polled.decoded.rows == 0
    assert polled.cursor


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("Invalid MAP_KEY.", SourceRejected),
        ("your have exceeded your transaction/time limit.", SourceUnavailable),
        ("something else", AnswerRefused),
    ],
)
def test_the_text_of_an_error_answer_decides_what_it_means(sample, expected):
    poll = firms().poll(None, at("2026-08-15T12:00"))
    next(poll)

    with pytest.raises(expected):
        poll.throw(AnswerRefused("status 400", status=400, sample=sample))


def test_a_tiny_answer_for_the_whole_world_is_noted():
    polled = answered(firms(day_range=2), None, at("2026-08-15T12:00"), HEADER + ROW)

    assert "only 1 rows for the whole world" in polled.decoded.notes[0]


def test_a_tiny_answer_for_a_small_area_is_no_news():
    source = firms(area="-125,32,-114,42", day_range=2)

    assert answered(source, None, at("2026-08-15T12:00"), HEADER + ROW).decoded.notes == ()


def test_an_outage_longer_than_the_api_serves_is_noted():
    source = firms(area="-125,32,-114,42")
    cursor = answered(source, None, at("2026-08-01T12:00")).cursor

    polled = answered(source, cursor, at("2026-08-15T12:00"))

    assert "14 days ago" in polled.decoded.notes[0]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"product": "MODIS_A_NRT"}, "VIIRS_SNPP_NRT"),
        ({"product": "LANDSAT_NRT"}, "not supported"),
        ({"day_range": 0}, "1..5"),
        ({"day_range": 10}, "1..5"),
        ({"map_key": None}, "FIRMS_MAP_KEY"),
        ({"map_key": Secret("")}, "FIRMS_MAP_KEY"),
        ({"area": "USA"}, "west,south,east,north"),
        ({"area": "-114,32,-125,42"}, "west,south,east,north"),
        ({"area": "-181,0,0,1"}, "west,south,east,north"),
        ({"area": "0,0,1,1/../../x"}, "west,south,east,north"),
        ({"area": "nan,0,1,1"}, "west,south,east,north"),
        ({"feed": "static", "static_span": "1y"}, "24h, 48h, 7d"),
        ({"feed": "static", "static_region": "../etc"}, "Global"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_would(settings, told):
    with pytest.raises(ConfigError, match=told):
        firms(**settings)


@pytest.mark.parametrize(
    ("settings", "served_days"),
    [
        ({}, 5),
        ({"feed": "static", "static_span": "24h"}, 2),
        ({"feed": "static", "static_span": "7d"}, 8),
    ],
)
def test_the_window_is_longer_than_the_span_served(settings, served_days):
    assert firms(**settings).window_s > served_days * 86_400


def test_the_window_can_be_configured():
    assert firms(window_s=90_000).window_s == 90_000


def test_the_source_is_found_by_the_name_of_its_type():
    source = CONNECTORS["nasa_firms"](FirmsSettings(source_id="firms_snpp", map_key=KEY))

    assert (source.source_type, source.source_id) == ("nasa_firms", "firms_snpp")
