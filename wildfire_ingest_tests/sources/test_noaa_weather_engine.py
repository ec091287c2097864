"""Observations through the real engine: what is filled in or revised later is a revision."""

from datetime import UTC, datetime

from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.exchange import Answer
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.sources.noaa_weather import NoaaWeather
from wildfire_ingest.sources.settings import NwsObservationsSettings
from wildfire_ingest.testing import TOPIC, FakeClock, make_engine
from wildfire_ingest_tests.sources.nws import HOUR_US, collection, feature, problem, quantity

HOUR = datetime.fromtimestamp(FakeClock().now_us() // HOUR_US * 3600, UTC).isoformat()


def weather(*stations):
    return NoaaWeather(NwsObservationsSettings(source_id="stations", stations=stations))


def observed(station="KSAC", **properties):
    return feature(station, HOUR, **properties)


def told(bench):
    return [message.json() for message in bench.kafka.visible(TOPIC)]


def test_a_null_that_is_filled_later_is_revision_1(tmp_path):
    replies = [
        collection(observed(temperature=quantity(None, flag="Z"))),
        collection(observed(temperature=quantity(None, flag="V"))),
        collection(observed(temperature=quantity(31.5, flag="V"))),
    ]
    with make_engine(weather("KSAC"), replies, tmp_path) as bench:
        for _ in replies:
            bench.run_once()

        first, second = told(bench)

    assert first["id"] == second["id"]
    assert [first["revision"], second["revision"]] == [0, 1]
    assert "air_temperature_c" not in first
    assert (second["air_temperature_c"], second["air_temperature_qc"]) == (31.5, "V")
    assert second["observed_at"] == HOUR.replace("+00:00", "Z")


def test_a_value_whose_flag_is_raised_is_a_revision(tmp_path):
    replies = [collection(observed(temperature=quantity(31, flag=flag))) for flag in "CVV"]
    with make_engine(weather("KSAC"), replies, tmp_path) as bench:
        accepted = [bench.run_once().ledger.accepted for _ in replies]

    assert accepted == [1, 1, 0]


def test_a_value_in_another_unit_is_no_revision(tmp_path):
    replies = [
        collection(observed(windSpeed=quantity(5.1, "m_s-1"))),
        collection(observed(windSpeed=quantity(18.36, "km_h-1"))),
    ]
    with make_engine(weather("KSAC"), replies, tmp_path) as bench:
        bench.run_once()

        assert bench.run_once().ledger == Ledger(fetched=1, duplicate=1)


def test_the_same_observation_by_its_zone_and_by_its_station_is_one_record(tmp_path):
    source = NoaaWeather(
        NwsObservationsSettings(source_id="stations", stations=("KSAC",), zones=("CAZ041",))
    )
    with make_engine(source, [collection(observed())], tmp_path) as bench:
        ledger = bench.run_once().ledger

    assert (ledger.accepted, ledger.duplicate) == (1, 1)


def test_one_bad_station_and_one_without_data_do_not_keep_the_third_from_kafka(tmp_path):
    body = problem("NotFound", 404)
    said = {
        "KSAC": collection(observed("KSAC")),
        "PAFA": SourceUnavailable("status 503", status=503),
        "PPIZ": Answer(404, {}, body, FakeClock().now_us()),
    }

    def replies(request):
        return said[request.template.split("/")[2]]

    with make_engine(weather(*said), replies, tmp_path) as bench:
        summary = bench.run_once()

        assert summary.succeeded
        assert [one["station_id"] for one in told(bench)] == ["KSAC"]


def test_a_row_that_cannot_be_read_is_dead_lettered_and_its_neighbour_delivered(tmp_path):
    body = collection(observed(), observed(timestamp="date:now"))
    with make_engine(weather("KSAC"), [body], tmp_path) as bench:
        ledger = bench.run_once().ledger

    assert (ledger.accepted, ledger.rejected) == (1, 1)
