"""The simulated NWS API answers as the real one does: lists, pages, conditions, refusals."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_places import STATES
from wildfire_ingest.simulator.nws_world import NwsWorldSettings

START_US = 1_786_795_200_000_000
AGENT = {"User-Agent": "wildfire-tests (ops@example.invalid)"}


class Time:
    """The simulator's clock; tests set it."""

    def __init__(self):
        self.after_s = 0.0

    def __call__(self):
        return START_US + int(self.after_s * SECOND_US)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def served(serve, time):
    """Starts a simulator; `served(faults=..., has_etags=..., **world)`."""

    def start(*, faults=None, has_etags=False, asks_contact=True, **world):
        site = NwsSimulator(
            NwsWorldSettings(**world),
            START_US,
            now_us=time,
            has_etags=has_etags,
            asks_contact=asks_contact,
        )
        return serve(site, now_us=time, faults=faults)

    return start


@pytest.fixture
def ask(get):
    """GETs with a contact."""
    return lambda server, path, **headers: get(server, path, headers={**AGENT, **headers})


def walk(server, ask, path):
    """Every feature of every page, until an empty page."""
    features: list[dict[str, Any]] = []
    pages = 0
    while pages < 200:
        answer = ask(server, path).json()
        pages += 1
        if not answer["features"]:
            return features, pages
        features += answer["features"]
        link = urlsplit(answer["pagination"]["next"])
        path = f"{link.path}?{link.query}"
    raise AssertionError("the walk does not end")


def ids(answer):
    return [feature["id"] for feature in answer.json()["features"]]


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(served, ask):
    first, same, other = served(), served(), served(seed=2)

    for path in ("/alerts/active", "/stations", "/zones/forecast/CAZ001/stations"):
        assert ask(first, path).content.replace(first.base_url.encode(), b"") == ask(
            same, path
        ).content.replace(same.base_url.encode(), b"")
    assert ids(ask(first, "/alerts/active")) != ids(ask(other, "/alerts/active"))


def test_stations_are_listed_page_by_page_each_once(served, ask):
    server = served(stations=24, silent_stations=1)

    features, pages = walk(server, ask, "/stations?limit=7")

    assert [feature["properties"]["stationIdentifier"] for feature in features] == [
        station.id for station in server.site.stations
    ]
    assert pages == 5


def test_stations_of_one_state_only(served, ask):
    features, _ = walk(served(), ask, "/stations?state=OR&limit=500")

    assert features
    assert {feature["properties"]["forecast"][-6:-4] for feature in features} == {"OR"}


def test_observations_are_walked_without_gap_or_repetition(served, ask, time):
    server = served(unsorted_share=0.0)
    time.after_s = 600
    station = server.site.stations[0].id

    features, pages = walk(server, ask, f"/stations/{station}/observations?limit=6")

    stamps = [feature["properties"]["timestamp"] for feature in features]
    assert stamps == sorted(set(stamps), reverse=True)
    assert len(stamps) >= 30
    assert pages == -(-len(stamps) // 6) + 1


def test_a_walk_that_new_alerts_arrive_in_repeats_none(served, ask, time):
    server = served(duplicate_share=0.0)
    first = ask(server, "/alerts?limit=5").json()
    time.after_s = 120
    link = urlsplit(first["pagination"]["next"])

    later, _ = walk(server, ask, f"{link.path}?{link.query}")

    seen = [feature["id"] for feature in [*first["features"], *later]]
    assert len(seen) == len(set(seen)) > 20


def test_start_and_end_choose_the_observations_between_them(served, ask, time):
    server = served()
    time.after_s = 300
    station = server.site.stations[0].id
    whole = ask(server, f"/stations/{station}/observations").json()["features"]
    stamps = sorted(feature["properties"]["timestamp"] for feature in whole)

    path = f"/stations/{station}/observations?start={stamps[3][:-6]}Z&end={stamps[6][:-6]}Z"
    chosen = ask(server, path).json()["features"]

    assert sorted(feature["properties"]["timestamp"] for feature in chosen) == stamps[3:7]


def test_a_zone_has_the_observations_of_all_its_stations(served, ask, time):
    server = served()
    time.after_s = 60
    of_zone = ask(server, "/zones/forecast/CAZ001/observations").json()["features"]

    expected = {station.id for station in server.site.stations if station.zone == "CAZ001"}
    silent = {station.id for station in server.site.stations if station.is_silent}
    assert {feature["properties"]["stationId"] for feature in of_zone} == expected - silent


def test_latest_is_the_newest_of_the_list(served, ask, time):
    server = served(unsorted_share=0.0)
    time.after_s = 60
    station = server.site.stations[3].id

    latest = ask(server, f"/stations/{station}/observations/latest").json()
    newest = ask(server, f"/stations/{station}/observations?limit=1").json()["features"][0]

    assert latest["properties"] == newest["properties"]


def test_alerts_are_chosen_by_area_zone_and_event(served, ask):
    server = served(events_per_minute=30)

    area = ask(server, "/alerts/active?area=CA").json()["features"]
    zone = ask(server, "/alerts/active?zone=CAZ001,CAZ002").json()["features"]
    event = ask(server, "/alerts/active?event=red%20flag%20warning").json()["features"]

    ugc = [set(feature["properties"]["geocode"]["UGC"]) for feature in area]
    assert ugc
    assert all(code.startswith("CA") for codes in ugc for code in codes)
    assert zone
    assert all(
        {"CAZ001", "CAZ002"} & set(feature["properties"]["geocode"]["UGC"]) for feature in zone
    )
    assert {feature["properties"]["event"] for feature in event} == {"Red Flag Warning"}
    assert ids(ask(server, "/alerts/active/area/CA")) == [feature["id"] for feature in area]


def test_an_alert_is_found_by_its_id(served, ask):
    server = served()
    listed = ask(server, "/alerts/active").json()["features"][0]

    alone = ask(server, f"/alerts/{listed['properties']['id']}").json()

    assert alone["properties"] == listed["properties"]
    assert ask(server, "/alerts/urn:oid:none").status_code == 404


def test_an_update_takes_the_place_of_what_it_refers_to(served, ask, time):
    server = served()
    updates = 0
    for after_s in range(0, 300, 20):
        time.after_s = after_s
        found = {
            feature["properties"]["id"]: feature["properties"]
            for feature in ask(server, "/alerts/active").json()["features"]
        }
        for properties in found.values():
            earlier = {reference["identifier"] for reference in properties["references"]}
            assert not earlier & set(found)
            assert bool(earlier) == (properties["messageType"] != "Alert")
            updates += bool(earlier)
    assert updates > 50


def test_a_minute_shows_updates_cancellations_and_fire_weather(served, ask, time):
    server = served()
    seen = {}
    for after_s in range(0, 61, 5):
        time.after_s = after_s
        for feature in ask(server, "/alerts/active").json()["features"]:
            seen[feature["id"]] = feature["properties"]

    kinds = [properties["messageType"] for properties in seen.values()]
    assert min(kinds.count(kind) for kind in ("Alert", "Update", "Cancel")) >= 1
    assert {"Red Flag Warning", "Fire Weather Watch"} <= {one["event"] for one in seen.values()}
    assert any(one["ends"] and one["expires"] < one["ends"] for one in seen.values())


def test_an_id_stands_twice_in_an_answer_now_and_then(served, ask):
    listed = ids(ask(served(duplicate_share=1.0), "/alerts/active"))

    assert len(listed) == 2 * len(set(listed)) > 0


def test_what_has_not_changed_is_304_without_a_body(served, ask):
    server = served()
    first = ask(server, "/alerts/active")

    again = ask(server, "/alerts/active", **{"If-Modified-Since": first.headers["Last-Modified"]})

    assert (again.status_code, again.content) == (304, b"")
    assert server.state()["alerts"]["answers"] == 1


def test_a_conditional_client_sees_what_an_unconditional_one_sees(served, ask, post, time):
    server = served(events_per_minute=20)
    stamp, seen = "", []
    everything: list[str] = []
    for step in range(120):
        time.after_s = step * 0.7
        if step % 9 == 0:
            post(server, "alert", {"event": "Fire Warning"})
        found = ask(server, "/alerts/active", **({"If-Modified-Since": stamp} if stamp else {}))
        whole = ask(server, "/alerts/active")
        if found.status_code == 200:
            stamp, seen = found.headers["Last-Modified"], ids(found)
        assert seen == ids(whole)
        everything += seen
    assert len(set(everything)) > 30


def test_a_tag_is_honoured_where_the_simulator_gives_tags(served, ask):
    server = served(has_etags=True)
    first = ask(server, "/alerts/active")

    again = ask(server, "/alerts/active", **{"If-None-Match": first.headers["ETag"]})
    other = ask(server, "/alerts/active", **{"If-None-Match": '"another"'})

    assert (again.status_code, other.status_code) == (304, 200)
    assert "ETag" not in ask(served(), "/alerts/active").headers


def test_an_answer_has_the_headers_of_the_real_one(served, ask):
    found = ask(served(), "/alerts/active").headers

    assert found["Content-Type"] == "application/geo+json"
    assert found["Cache-Control"].startswith("public, max-age=")
    assert found["Vary"] == "Accept,Feature-Flags,Accept-Language"
    assert found["X-Correlation-Id"]


@pytest.mark.parametrize("agent", ["", "wildfire-ingest"])
def test_who_gives_no_contact_is_turned_away_with_a_page(served, get, agent):
    server = served()

    found = get(server, "/alerts/active", headers={"User-Agent": agent})

    assert found.status_code == 403
    assert found.headers["Content-Type"] == "text/html"
    assert b"Access Denied" in found.content
    assert server.state()["refused"] == 1


def test_a_simulator_that_asks_for_no_contact_takes_anybody(served, get):
    assert get(served(asks_contact=False), "/alerts/active").status_code == 200


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/alerts/active?limit=5", "query.limit"),
        ("/alerts/active?_=17", "query._"),
        ("/alerts/active?area=California", "query.area"),
        ("/alerts/active?zone=CA", "query.zone"),
        ("/alerts?limit=501", "query.limit"),
        ("/alerts?cursor=nonsense", "query.cursor"),
        ("/stations/KABC/observations?start=yesterday", "query.start"),
        ("/stations/KABC/observations?start=2026-13-41T00:00:00Z", "query.start"),
    ],
)
def test_a_parameter_that_the_api_does_not_take_is_named(served, ask, path, parameter):
    found = ask(served(), path)

    problem = found.json()
    assert found.status_code == problem["status"] == 400
    assert found.headers["Content-Type"] == "application/problem+json"
    assert problem["type"].endswith("problems/BadRequest")
    assert [error["parameter"] for error in problem["parameterErrors"]] == [parameter]
    assert found.headers["X-Correlation-Id"] == problem["correlationId"]


def test_a_station_without_data_is_told_from_one_that_is_unknown(served, ask):
    server = served()
    silent = server.site.stations[-1].id

    no_data = ask(server, f"/stations/{silent}/observations/latest")
    unknown = ask(server, "/stations/NOSUCH/observations/latest")

    assert (no_data.status_code, unknown.status_code) == (404, 404)
    assert no_data.json()["type"].endswith("problems/NotFound")
    assert unknown.json()["type"].endswith("problems/InvalidPoint")
    assert ask(server, f"/stations/{silent}/observations").json()["features"] == []


def test_a_point_has_its_zone_and_one_at_sea_has_none(served, ask):
    found = ask(served(), "/points/37.5,-120.5")

    assert found.json()["properties"]["forecastZone"].endswith("/CAZ001")
    assert ask(served(), "/points/0,0").json()["type"].endswith("problems/InvalidPoint")


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "says"),
    [
        ("problem", 500, "application/problem+json", b"problems/UnexpectedProblem"),
        ("features_null", 503, "application/geo+json", b'"features":null'),
        ("access_denied", 403, "text/html", b"Access Denied"),
        ("empty", 200, "text/plain;charset=UTF-8", b""),
        ("header_only", 200, "text/plain;charset=UTF-8", b""),
    ],
)
def test_a_fault_is_not_counted_as_served(served, ask, kind, status, content_type, says):
    server = served(faults=FaultPlan((Fault(kind=kind, at=(1,)),)))

    found = ask(server, "/alerts/active")

    assert (found.status_code, found.headers["Content-Type"]) == (status, content_type)
    assert says in found.content
    assert server.state()["alerts"]["answers"] == 0
    assert server.state()["faults_struck"] == {kind: 1}
    assert ask(server, "/alerts/active").json()["features"]


def test_a_state_that_is_not_simulated_is_refused():
    with pytest.raises(ValueError, match=r"TX.*expected some of CA"):
        NwsWorldSettings(states=("CA", "TX"))
    assert set(NwsWorldSettings().states) <= set(STATES)


def test_five_hundred_alerts_cost_little(served, ask, time):
    """Bounds the work, not the time: features are written once, then only put together."""
    from wildfire_ingest.simulator import nws_wire

    server = served(events_per_minute=130)
    time.after_s = 300
    assert len(ids(ask(server, "/alerts/active"))) > 400
    before = nws_wire.alert_feature.cache_info().misses

    ask(server, "/alerts/active")

    assert nws_wire.alert_feature.cache_info().misses == before
