"""Recorded answers of the NWS are served as they are, and counted as far as they can be read."""

import gzip
import json

import pytest

from wildfire_ingest.simulator.nws_truth import NwsTruth
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.settings import NwsAlertsSettings


def alerts(*numbers, severity="Severe"):
    features = [{"properties": {"id": f"urn:{one}", "severity": severity}} for one in numbers]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "1.json").write_bytes(alerts(1, 2))
    (tmp_path / "2.json.gz").write_bytes(gzip.compress(alerts(2, 3, severity="Minor")))
    (tmp_path / "3.csv").write_text("not of this API")
    return tmp_path


def test_each_poll_of_any_path_gets_the_next_recording(serve, get, folder):
    server = serve(ReplaySite(folder, api="nws"))

    found = [get(server, path) for path in ("/alerts/active?area=CA", "/alerts", "/alerts/active")]

    assert [one.content for one in found] == [
        alerts(1, 2),
        alerts(2, 3, severity="Minor"),
        alerts(2, 3, severity="Minor"),
    ]
    assert {one.headers["Content-Type"] for one in found} == {"application/geo+json"}
    truth = server.state()["alerts"]
    assert (truth["rows"], truth["distinct_rows"], truth["value_changes"]) == (6, 3, 1)


def test_a_recording_of_nws_is_nothing_for_a_path_of_firms(serve, get, folder):
    assert get(serve(ReplaySite(folder, api="nws")), "/api/area/csv/k/p/world/1").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b'{"type": "https://api.weather.gov/problems/NotFound"}',
        b'{"type": "FeatureCollection", "features": null}',
        b'{"type": "FeatureCollection", "features": [{}, 5, {"properties": {}}]}',
        b'{"type": "Feature", "properties": {"station": null, "timestamp": "2026"}}',
    ],
)
@pytest.mark.parametrize("stream", ["alerts", "observations"])
def test_what_has_no_key_is_no_distinct_row(stream, body):
    truth = NwsTruth(stream)

    truth.note(body)

    assert (truth.counts.answers, truth.counts.distinct_rows) == (1, 0)


@pytest.mark.samples
def test_the_truth_of_recorded_alerts_is_what_the_connector_reads(serve, get, samples):
    files = sorted((samples / "nws" / "resolved").glob("*.json.gz"))
    server = serve(ReplaySite(files, api="nws"))
    source = NoaaAlerts(NwsAlertsSettings(source_id="alerts"))
    bodies = {}
    rows = 0

    for _ in files:
        decoded = source.read(get(server, "/alerts/active").content)
        rows += decoded.rows
        bodies.update({record.natural_key: record.body for record in decoded.records})

    truth = server.state()["alerts"]
    assert truth["rows"] == rows > 700
    assert truth["distinct_rows"] == len(bodies)
    assert truth["value_changes"] == 0
