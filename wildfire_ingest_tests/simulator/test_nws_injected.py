"""What is put into the simulated NWS by POST is served at once, and only as long as it lives."""

import pytest

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings

START_US = 1_786_795_200_000_000
AGENT = {"User-Agent": "tests (ops@example.invalid)"}


@pytest.fixture
def clock():
    """Seconds after the start; a list, so that a test can set it."""
    return [0]


@pytest.fixture
def quiet(serve, clock):
    """A world in which nothing happens but what is put in."""

    def now_us():
        return START_US + clock[0] * SECOND_US

    world = NwsWorldSettings(events_per_minute=0, interval_s=100_000, history_s=0)
    return serve(NwsSimulator(world, START_US, now_us=now_us), now_us=now_us)


@pytest.fixture
def read(get, quiet):
    """The properties of the features of a list."""

    def ask(path):
        found = get(quiet, path, headers=AGENT).json()["features"]
        return [feature["properties"] for feature in found]

    return ask


def test_an_alert_is_there_at_once_and_gone_when_its_time_is_over(quiet, post, read, clock):
    made = post(quiet, "alert", {"event": "Fire Warning", "zone": "ORZ002", "life_s": 60}).json()

    (found,) = read("/alerts/active?area=OR")
    assert found == made["properties"]
    assert (found["event"], found["geocode"]["UGC"]) == ("Fire Warning", ["ORZ002"])
    clock[0] = 61
    assert read("/alerts/active") == []
    assert [one["id"] for one in read("/alerts")] == [found["id"]]


def test_an_alert_of_nothing_named_is_a_red_flag_warning(quiet, post, read):
    post(quiet, "alert", {})

    (found,) = read("/alerts/active")
    assert found["event"] == "Red Flag Warning"
    assert found["parameters"]["VTEC"][0].startswith("/O.NEW.KSTO.FW.W.9")


def test_an_update_and_then_a_cancellation_take_its_place(quiet, post, read):
    first = post(quiet, "alert", {}).json()["properties"]["id"]
    order = {"message_type": "Update", "reference": first, "severity": "Extreme"}
    second = post(quiet, "alert", order).json()["properties"]["id"]

    (updated,) = read("/alerts/active")
    assert (updated["id"], updated["severity"]) == (second, "Extreme")
    post(quiet, "alert", {"message_type": "Cancel", "reference": second})
    (cancelled,) = read("/alerts/active")
    assert cancelled["parameters"]["VTEC"][0].startswith("/O.CAN.KSTO.FW.W.9")
    assert [one["identifier"] for one in cancelled["references"]] == [first, second]
    assert quiet.site.distinct_rows_served("alerts") == 2


def test_an_observation_is_there_at_once_and_a_second_one_is_its_revision(quiet, post, read):
    station = quiet.site.stations[0].id
    order = {"station": station, "values": {"temperature": 41.5}}
    post(quiet, "observation", {**order, "timestamp": "2026-08-15T12:00:00Z"})

    (found,) = read(f"/stations/{station}/observations")
    assert found["temperature"]["value"] == pytest.approx(41.5)
    assert found["windSpeed"]["value"] is None
    order["values"]["windSpeed"] = 36.0
    post(quiet, "observation", {**order, "timestamp": "2026-08-15T12:00:00Z"})
    (revised,) = read(f"/stations/{station}/observations")
    assert revised["timestamp"] == found["timestamp"]
    assert revised["windSpeed"]["value"] == pytest.approx(36.0)
    assert quiet.state()["observations"]["value_changes"] == 1


@pytest.mark.parametrize(
    ("command", "order", "status", "says"),
    [
        ("alert", {"event": "X<script>"}, 400, "event"),
        ("alert", {"state": "TX"}, 400, "expected one of CA"),
        ("alert", {"message_type": "Update"}, 400, "reference"),
        ("alert", {"reference": "urn:unknown", "message_type": "Cancel"}, 400, "reference"),
        ("alert", {"unknown": 1}, 400, "unknown"),
        ("observation", {"station": "NOSUCH"}, 404, "NOSUCH"),
        ("observation", {}, 400, "station"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why(quiet, post, command, order, status, says):
    found = post(quiet, command, order)

    assert found.status_code == status
    assert says in found.text


def test_a_quantity_that_does_not_exist_is_named(quiet, post):
    order = {"station": quiet.site.stations[0].id, "values": {"humidity": 5}}

    assert "humidity" in post(quiet, "observation", order).text
