"""The simulator's truth is what a client that keeps everything has counted itself."""

import json

import pytest

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_truth import NwsTruth
from wildfire_ingest.simulator.nws_world import NwsWorldSettings

START_US = 1_786_795_200_000_000
HEADERS = {"user-agent": "tests (ops@example.invalid)", "host": "127.0.0.1"}
HOUR_S = 3600


class Notebook:
    """Distinct keys, and how often one came with other content than the last time."""

    def __init__(self):
        self.last = {}
        self.changes = 0

    def write(self, key, content):
        self.changes += self.last.get(key, content) != content
        self.last[key] = content


def asked(site, path, after_s, **headers):
    """The features of one whole answer."""
    reply = site.answer(path, {**HEADERS, **headers}, START_US + after_s * SECOND_US)
    assert reply.status == 200
    reply.on_sent()
    return [feature["properties"] for feature in json.loads(reply.body)["features"]]


def measured(properties):
    """Values in their units with their flags; nothing of those that are null."""
    return {
        name: value
        for name, value in properties.items()
        if isinstance(value, dict) and value.get("value") is not None
    }


def test_three_hours_of_observations_are_counted_as_a_client_counts_them():
    site = NwsSimulator(
        NwsWorldSettings(stations=10, interval_s=120, keep_s=1200, revised_share=0.5), START_US
    )
    notebook = Notebook()

    for after_s in range(0, 3 * HOUR_S, 45):
        station = site.stations[after_s // 45 % 10]
        for path in (f"/stations/{station.id}/observations", "/zones/forecast/CAZ001/observations"):
            for properties in asked(site, path, after_s):
                key = (properties["stationId"], properties["timestamp"])
                notebook.write(key, measured(properties))

    found = site.state()["observations"]
    assert (found["distinct_rows"], found["value_changes"]) == (
        len(notebook.last),
        notebook.changes,
    )
    assert found["expected_records"] == len(notebook.last) + notebook.changes
    assert site.distinct_rows_served("observations") == len(notebook.last) > 700
    assert notebook.changes > 20


def test_two_hours_of_alerts_are_counted_as_a_client_counts_them():
    site = NwsSimulator(NwsWorldSettings(duplicate_share=0.05), START_US)
    notebook = Notebook()
    rows = 0

    for after_s in range(0, 2 * HOUR_S, 40):
        for properties in asked(site, "/alerts/active", after_s):
            rows += 1
            notebook.write(properties["id"], properties)

    found = site.state()["alerts"]
    assert (found["rows"], found["distinct_rows"]) == (rows, len(notebook.last))
    assert site.distinct_rows_served("alerts") == len(notebook.last) > 1000
    assert found["value_changes"] == notebook.changes == 0


def test_every_revision_is_seen_by_a_client_that_asks_often_enough():
    world = NwsWorldSettings(stations=3, revised_share=1.0, late_share=0.0)
    site = NwsSimulator(world, START_US)
    station = site.stations[0].id
    seen = set()

    for after_s in range(0, 600, 10):
        for properties in asked(site, f"/stations/{station}/observations", after_s):
            seen.add(properties["timestamp"])

    settled = 3 * world.revise_after_s // world.interval_s
    assert site.state()["observations"]["value_changes"] >= len(seen) - 20 - settled


def test_late_observations_arrive_behind_newer_ones():
    site = NwsSimulator(NwsWorldSettings(stations=5, late_share=0.3), START_US)
    newest, late = "", 0
    station = site.stations[0].id

    known: set[str] = set()
    for after_s in range(0, 600, 10):
        stamps = {
            one["timestamp"] for one in asked(site, f"/stations/{station}/observations", after_s)
        }
        late += sum(stamp < newest for stamp in stamps - known) if known else 0
        known |= stamps
        newest = max(known, default="")

    assert late >= 3


def test_an_answer_that_was_not_sent_counts_for_nothing():
    site = NwsSimulator(NwsWorldSettings(), START_US)

    site.answer("/alerts/active", HEADERS, START_US)

    assert site.state()["alerts"]["answers"] == 0


@pytest.mark.parametrize(
    ("later", "changes"),
    [
        ({"temperature": {"unitCode": "wmoUnit:degC", "value": 20, "qualityControl": "V"}}, 0),
        ({"temperature": {"unitCode": "wmoUnit:degC", "value": 20, "qualityControl": "qc:V"}}, 0),
        ({"temperature": {"unitCode": "wmoUnit:degC", "value": 21, "qualityControl": "V"}}, 1),
        ({"temperature": {"unitCode": "wmoUnit:degC", "value": 20, "qualityControl": "Z"}}, 1),
        ({"temperature": {"unitCode": "wmoUnit:degF", "value": 20, "qualityControl": "V"}}, 1),
        ({"temperature": {"unitCode": "wmoUnit:degC", "value": None, "qualityControl": "V"}}, 1),
    ],
)
def test_a_change_is_one_of_readings_not_of_bytes(later, changes):
    first = {"temperature": {"unitCode": "wmoUnit:degC", "value": 20, "qualityControl": "V"}}
    truth = NwsTruth("observations")

    for spacing, readings in ((None, first), (2, later)):
        properties = {"station": "x/KABC", "timestamp": "2026-08-15T12:00:00+00:00", **readings}
        body = {"type": "FeatureCollection", "features": [{"properties": properties}]}
        truth.note(json.dumps(body, indent=spacing).encode())

    assert (truth.counts.distinct_rows, truth.counts.value_changes) == (1, changes)


def test_a_value_that_changes_back_is_a_change_again():
    truth = NwsTruth("alerts")

    for severity in ("Minor", "Severe", "Minor", "Minor"):
        feature = {"properties": {"id": "urn:1", "severity": severity}}
        truth.note(json.dumps({"type": "FeatureCollection", "features": [feature]}).encode())

    assert (truth.counts.rows, truth.counts.distinct_rows, truth.counts.value_changes) == (4, 1, 2)


def test_memory_is_bounded_and_the_counts_stay():
    truth = NwsTruth("alerts", max_keys=10)

    for number in range(50):
        feature = {"properties": {"id": f"urn:{number}"}}
        truth.note(json.dumps({"type": "FeatureCollection", "features": [feature]}).encode())

    assert truth.counts.distinct_rows == 50
    assert len(truth._seen) == len(truth._key_of_bytes) == 10
