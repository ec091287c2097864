"""What a poll of NWS alerts asks for: those in force, and after an outage what came and went."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import (
    AnswerRefused,
    ConfigError,
    IngestError,
    SourceRejected,
    SourceUnavailable,
)
from wildfire_ingest.sources.catalog import CONNECTORS
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.settings import NwsAlertsSettings
from wildfire_ingest_tests.sources.alerts import (
    ID,
    alerts,
    collection,
    feature,
    polled,
    unchanged,
)

NEXT = "https://api.weather.gov/alerts?start=x&cursor=eyJzIjoiMjAyNiJ9%2B%2F%3D"


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


NOON = at("2026-05-14T12:00:30")


def cursor_of(text, **more):
    return json.dumps({"polled_at_s": at(text) // 1_000_000} | more).encode()


def asked(source, cursor, now_us, answers=()):
    return polled(source, cursor, now_us, answers)[0]


@pytest.mark.parametrize(
    ("settings", "template"),
    [
        ({"state": "CA"}, "/alerts/active?area=CA"),
        ({"zones": ("CAZ216", "CAC067", "CAZ216")}, "/alerts/active?zone=CAZ216,CAC067"),
        ({"state": "CA", "zones": ("CAZ216",)}, "/alerts/active?zone=CAZ216"),
        ({}, "/alerts/active"),
    ],
)
def test_one_request_asks_for_the_alerts_in_force(settings, template):
    assert asked(alerts(**settings), None, NOON) == [template]


def test_the_request_asks_for_geojson_and_costs_one():
    request = next(alerts(state="CA").poll(None, NOON))

    assert request.headers["Accept"] == "application/geo+json"
    assert (request.expects, request.cost, request.secrets) == ("json", 1, {})


def test_zones_that_do_not_fit_into_one_address_are_asked_for_in_several():
    zones = tuple(f"CAZ{number:03d}" for number in range(250))

    templates = asked(alerts(zones=zones), None, NOON)

    assert len(templates) == 3
    assert ",".join(template.split("zone=")[1] for template in templates) == ",".join(zones)
    assert max(map(len, templates)) < 1000


def test_a_poll_soon_after_the_last_asks_for_nothing_else():
    assert asked(alerts(state="CA"), cursor_of("2026-05-14T11:51:00"), NOON) == [
        "/alerts/active?area=CA"
    ]


def test_after_an_outage_the_alerts_sent_meanwhile_are_asked_for_as_well():
    cursor = cursor_of("2026-05-14T09:20:45")

    templates = asked(alerts(state="CA"), cursor, NOON)

    assert templates == [
        "/alerts/active?area=CA",
        "/alerts?start=2026-05-14T09:10:00Z&area=CA",
    ]
    assert asked(alerts(state="CA"), cursor, NOON + 9_000_000) == templates


def test_the_missed_alerts_of_the_whole_country_need_no_area():
    assert asked(alerts(), cursor_of("2026-05-14T09:20:45"), NOON)[1] == (
        "/alerts?start=2026-05-14T09:10:00Z"
    )


def test_once_they_are_read_they_are_not_asked_for_again():
    source = alerts(state="CA")

    _, done = polled(source, cursor_of("2026-05-14T09:20:45"), NOON)

    assert json.loads(done.cursor) == {"polled_at_s": NOON // 1_000_000}
    assert len(asked(source, done.cursor, NOON + 30_000_000)) == 1


def test_pages_are_followed_by_the_cursor_alone_until_one_is_empty():
    answers = [
        collection(feature(1)),
        collection(feature(2), next_url=NEXT),
        collection(feature(3), next_url=NEXT.replace("eyJ", "fyJ")),
        collection(next_url=NEXT),
    ]

    templates, done = polled(alerts(), cursor_of("2026-05-14T09:20:45"), NOON, answers)

    start = "/alerts?start=2026-05-14T09:10:00Z"
    assert templates[1:] == [
        start,
        f"{start}&cursor=eyJzIjoiMjAyNiJ9%2B%2F%3D",
        f"{start}&cursor=fyJzIjoiMjAyNiJ9%2B%2F%3D",
    ]
    assert len(done.decoded.records) == 3


@pytest.mark.parametrize(
    "link",
    [
        "https://api.weather.gov/stations?cursor=abc",
        "https://api.weather.gov/alerts?start=x",
        "https://api.weather.gov/alerts?cursor=a&cursor=b",
        "https://[broken/alerts?cursor=a",
        "https://api.weather.gov/alerts?cursor=" + "a" * 3000,
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(link):
    answers = [collection(), collection(feature(1), next_url=link)]

    templates, _ = polled(alerts(), cursor_of("2026-05-14T09:20:45"), NOON, answers)

    assert len(templates) == 2


def test_a_page_that_names_itself_as_the_next_ends_the_list():
    answers = [collection(), collection(feature(1), next_url=NEXT)]

    templates, _ = polled(alerts(), cursor_of("2026-05-14T09:20:45"), NOON, answers)

    assert len(templates) == 3


def test_a_long_list_is_read_on_in_the_next_polls_from_where_it_was():
    source, cursor = alerts(), cursor_of("2026-05-10T12:00:00")

    def page(number):
        return collection(feature(number), next_url=NEXT.replace("eyJ", f"e{number}"))

    answers = [collection(feature(1))] + [page(n) for n in range(1, 30)]
    first, done = polled(source, cursor, NOON, answers)
    again, later = polled(source, done.cursor, NOON + 30_000_000, [*answers[:1], *answers[5:]])

    assert (len(first), len(again)) == (5, 5)
    assert [template.partition("cursor=")[2][:2] for template in again[1:]] == [
        *("e4", "e5", "e6", "e7")
    ]
    ended, end = polled(source, later.cursor, NOON + 60_000_000)
    assert (len(ended), json.loads(end.cursor)) == (2, {"polled_at_s": NOON // 1_000_000 + 60})


def test_a_second_outage_while_missed_alerts_are_read_begins_their_list_anew():
    cursor = cursor_of(
        "2026-05-14T11:00:00",
        missed_since_s=at("2026-05-14T09:20:45") // 1_000_000,
        page="abc",
        pages=7,
    )

    templates = asked(alerts(), cursor, NOON)

    assert templates[1:] == ["/alerts?start=2026-05-14T09:10:00Z"]


def test_missed_alerts_are_read_whole_for_nothing_new_says_nothing_of_further_pages():
    poll = alerts().poll(cursor_of("2026-05-14T09:20:45"), NOON)
    in_force = next(poll)

    missed = poll.send(unchanged())

    assert (in_force.whole, missed.whole) == (False, True)


@pytest.mark.parametrize("error", [SourceUnavailable("503"), AnswerRefused("cut")])
def test_alerts_in_force_do_not_wait_for_missed_ones_that_fail(error):
    source = alerts(state="CA")
    answers = [collection(feature(1)), error]

    _, done = polled(source, cursor_of("2026-05-14T09:20:45"), NOON, answers)

    assert len(done.decoded.records) == 1
    assert "again later" in done.decoded.notes[0]
    assert asked(source, done.cursor, NOON + 30_000_000) == [
        "/alerts/active?area=CA",
        "/alerts?start=2026-05-14T09:10:00Z&area=CA",
    ]


def test_missed_alerts_that_nws_refuses_for_good_are_given_up_and_that_is_said():
    answers = [
        collection(feature(1)),
        SourceRejected("400", status=400, sample='{"type": "…/problems/InvalidParameter"}'),
    ]

    _, done = polled(alerts(), cursor_of("2026-05-14T09:20:45"), NOON, answers)

    assert any("are missing: NWS says InvalidParameter" in note for note in done.decoded.notes)
    assert json.loads(done.cursor) == {"polled_at_s": NOON // 1_000_000}


def test_where_the_pace_allows_one_request_a_poll_the_two_lists_are_asked_for_in_turn():
    source, cursor = alerts(state="CA", requests_per_poll=1), cursor_of("2026-05-14T09:20:45")
    seen = []

    for poll in range(4):
        templates, done = polled(source, cursor, NOON + poll * 30_000_000)
        seen += templates
        cursor = done.cursor

    assert [template.partition("?")[0] for template in seen] == [
        "/alerts/active",
        "/alerts",
        "/alerts/active",
        "/alerts/active",
    ]


def test_a_poll_for_missed_alerts_only_says_nothing_of_those_in_force():
    source = alerts(state="CA", requests_per_poll=1)
    cursor = cursor_of(
        "2026-05-14T11:59:00",
        missed_since_s=at("2026-05-14T09:20:45") // 1_000_000,
        missed_next=True,
    )

    _, done = polled(source, cursor, NOON)

    assert json.loads(done.cursor) == {"polled_at_s": at("2026-05-14T11:59:00") // 1_000_000}


def test_a_list_without_end_is_left_and_that_is_said():
    cursor = cursor_of(
        "2026-05-14T11:59:00",
        missed_since_s=at("2026-05-14T09:20:45") // 1_000_000,
        page="abc",
        pages=199,
    )

    _, done = polled(alerts(), cursor, NOON, [collection(feature(1), next_url=NEXT)])

    assert any("over 200 pages" in note for note in done.decoded.notes)
    assert json.loads(done.cursor) == {"polled_at_s": NOON // 1_000_000}


def test_a_loss_is_said_once_and_not_with_every_page():
    source, answers = alerts(state="CA"), [collection()]
    answers += [collection(feature(1), next_url=NEXT.replace("eyJ", f"e{n}")) for n in range(9)]
    _, first = polled(source, cursor_of("2026-05-01T09:20:45"), NOON, answers)

    _, second = polled(source, first.cursor, NOON + 30_000_000)

    assert (len(first.decoded.notes), second.decoded.notes) == (1, ())


def test_an_outage_longer_than_nws_keeps_alerts_says_what_is_missing():
    _, done = polled(alerts(state="CA"), cursor_of("2026-05-01T09:20:45"), NOON)

    assert "since 2026-05-01T09:20:00Z" in done.decoded.notes[0]
    assert "7 days" in done.decoded.notes[0]


@pytest.mark.parametrize(
    "cursor",
    [
        b"not json",
        b"\xff",
        b"{}",
        b'{"polled_at_s": -5}',
        b'{"polled_at_s": 99999999999}',
        b'{"polled_at_s": 1778760000, "missed_since_s": 99999999999999}',
    ],
)
def test_an_unreadable_cursor_asks_for_the_week_that_nws_keeps(cursor):
    templates = asked(alerts(state="CA"), cursor, NOON)

    assert templates[1] == "/alerts?start=2026-05-06T23:50:00Z&area=CA"


@given(st.lists(st.integers(0, 30 * 24 * 60), min_size=1, max_size=8))
def test_the_cursor_never_goes_back(minutes):
    source, cursor, reached = alerts(state="CA"), None, 0

    for minute in minutes:
        cursor = polled(source, cursor, NOON + minute * 60_000_000)[1].cursor
        assert json.loads(cursor)["polled_at_s"] >= min(reached, NOON // 1_000_000 + minute * 60)
        reached = json.loads(cursor)["polled_at_s"]


def test_not_modified_is_a_successful_poll_of_nothing():
    _, done = polled(alerts(), None, NOON, [unchanged()])

    assert (done.decoded.rows, done.decoded.notes) == (0, ())
    assert done.cursor


def test_no_alert_in_a_state_is_no_news():
    assert polled(alerts(state="CA"), None, NOON)[1].decoded.notes == ()


def test_hardly_any_alert_in_the_whole_country_is_noted():
    _, done = polled(alerts(), None, NOON, [collection(feature(1))])

    assert "only 1 alerts in force in the whole country" in done.decoded.notes[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("UnexpectedProblem", SourceUnavailable),
        ("UnavailableWebService", SourceUnavailable),
        ("BadRequest", SourceRejected),
        ("InvalidParameter", SourceRejected),
    ],
)
def test_an_error_answer_is_recognised_by_its_name(name, expected):
    sample = json.dumps({"type": f"https://api.weather.gov/problems/{name}", "status": 500})

    with pytest.raises(expected, match=name):
        polled(alerts(), None, NOON, [AnswerRefused("status 500", status=500, sample=sample)])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type": "FeatureCollection", "features": null}', b"<html>"]
)
def test_a_body_that_is_no_list_of_features_is_no_answer(body):
    with pytest.raises(IngestError):
        polled(alerts(), None, NOON, [body])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"state": "California"}, "two letters"),
        ({"state": "C&"}, "two letters"),
        ({"zones": ("CAZ216&x=1",)}, "CAZ041"),
        ({"zones": ("caz216",)}, "CAZ041"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_would(settings, told):
    with pytest.raises(ConfigError, match=told):
        alerts(**settings)


def test_the_window_is_a_year_because_an_alert_in_force_may_be_old():
    assert alerts().window_s == 366 * 86_400
    assert alerts(window_s=90_000).window_s == 90_000


def test_the_source_is_found_by_its_type():
    source = CONNECTORS["noaa_alerts"](NwsAlertsSettings(source_id="a"))

    assert isinstance(source, NoaaAlerts)
    assert CONNECTORS["noaa_alerts"] is NoaaAlerts
    assert (source.source_type, source.source_id) == ("noaa_alerts", "a")


def test_messages_of_several_lists_come_in_the_order_of_sending():
    answers = [collection(feature(5)), collection(feature(9), feature(2))]

    _, done = polled(alerts(), cursor_of("2026-05-14T09:20:45"), NOON, answers)

    assert [r.body.alert_id for r in done.decoded.records] == [f"{ID}{n}" for n in (2, 5, 9)]
