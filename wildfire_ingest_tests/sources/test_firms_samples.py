"""Every recorded FIRMS answer is read with no unexplained row, and with the values it holds."""

import csv
import gzip
import io
import json
from decimal import Decimal

import pytest

from wildfire_ingest.errors import AnswerRefused, SourceRejected, SourceUnavailable
from wildfire_ingest.sources.firms_csv import read_csv

pytestmark = pytest.mark.samples

WORDS = {"l": "low", "n": "nominal", "h": "high"}
SATELLITES = {"N": "S-NPP", "1": "NOAA-20", "N20": "NOAA-20", "N21": "NOAA-21"} | {
    "T": "Terra",
    "A": "Aqua",
}


def stored(path):
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def answers(samples):
    folders = ("raw", "api", "derived_polls_modis_global_24h", "derived_polls_viirs_24h")
    for folder in folders:
        for path in sorted((samples / "firms" / folder).glob("*.csv*")):
            if not path.name.startswith("data_availability"):
                yield path, stored(path)


def independent(body):
    return list(csv.DictReader(io.StringIO(body.decode("ascii"))))


def natural(row):
    """The identity of a row, by another way than the source's: exact decimals."""
    satellite = SATELLITES.get(row["satellite"], row["satellite"])
    place = (Decimal(row["latitude"]).normalize(), Decimal(row["longitude"]).normalize())
    return ("bright_ti4" in row, satellite, row["acq_date"], int(row["acq_time"]), *place)


def expected(row):
    percent = int(row["confidence"]) if "brightness" in row else None
    if percent is None:
        confidence = WORDS.get(row["confidence"], row["confidence"])
    else:
        confidence = "high" if percent >= 80 else "low" if percent < 30 else "nominal"
    return {
        "latitude": float(row["latitude"]),
        "longitude": float(row["longitude"]),
        "satellite": SATELLITES.get(row["satellite"], row["satellite"]),
        "instrument": "MODIS" if "brightness" in row else "VIIRS",
        "confidence": confidence,
        "confidence_percent": percent,
        "brightness_k": float(row.get("brightness") or row["bright_ti4"]),
        "brightness_t31_k": float(row.get("bright_t31") or row["bright_ti5"]),
        "scan_km": float(row["scan"]),
        "track_km": float(row["track"]),
        "frp_mw": float(row["frp"]),
        "daynight": row["daynight"],
        "version": row["version"],
    }


def fields(record):
    return {name: getattr(record.body, name) for name in record.body.__struct_fields__}


def test_every_row_of_every_recorded_answer_is_a_record_with_its_values(samples):
    files = rows = 0
    for path, body in answers(samples):
        decoded, read = read_csv(body), independent(body)
        assert (decoded.rejects, decoded.notes) == ([], ()), path.name
        assert [fields(record) for record in decoded.records] == [expected(row) for row in read], (
            path.name
        )
        files, rows = files + 1, rows + len(read)

    assert files == 3 + 5 + 34 + 23
    assert rows > 250_000


def test_the_modis_polls_hold_as_many_distinct_keys_as_an_independent_count(samples):
    by_source: set[bytes] = set()
    by_test: set[tuple[object, ...]] = set()
    rows = 0
    polls = sorted((samples / "firms" / "derived_polls_modis_global_24h").glob("*.csv.gz"))
    for path in polls:
        body = stored(path)
        records = read_csv(body).records
        by_source.update(record.natural_key for record in records)
        by_test.update(natural(row) for row in independent(body))
        rows += len(records)

    assert len(polls) == 34
    assert len(by_source) == len(by_test) < rows / 3


def test_the_time_of_a_recorded_row_is_its_date_and_padded_time(samples):
    body = stored(samples / "firms" / "raw" / "fire_nrt_M-C61_626683.csv")

    first = read_csv(body).records[0]

    assert first.observed_at_s == 1_738_377_120  # 2025-02-01 02:32 UTC


@pytest.mark.parametrize(
    "name", ["modis_24h_2022-04-03T0516.geojson.gz", "viirs_noaa20_24h_2021-12-08.geojson"]
)
def test_the_original_geojson_holds_what_the_csv_says(samples, name):
    collection = json.loads(stored(samples / "firms" / "geojson_original" / name))
    rows = [feature["properties"] for feature in collection["features"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=sorted(rows[0], reverse=True), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)

    decoded = read_csv(text.getvalue().encode())

    assert decoded.rejects == []
    assert [fields(record) for record in decoded.records] == [expected(row) for row in rows]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("http400_invalid_area_coordinate.txt", SourceRejected),
        ("http400_invalid_day_range.txt", SourceRejected),
        ("http400_invalid_map_key.txt", SourceRejected),
        ("invalid_api_call.txt", SourceRejected),
        ("mapkey_status_limit_exceeded.txt", SourceUnavailable),
    ],
)
def test_every_recorded_error_has_its_meaning(samples, name, meaning):
    with pytest.raises(meaning):
        read_csv(stored(samples / "firms" / "errors" / name))


def test_the_recorded_header_without_rows_is_zero_rows(samples):
    name = "http200_header_only_no_detections.csv"

    assert read_csv(stored(samples / "firms" / "errors" / name)).rows == 0


def test_the_shape_of_a_urt_row_is_read_and_that_of_landsat_is_refused(samples):
    (urt,) = read_csv(stored(samples / "_handmade" / "firms_viirs_urt_shape.csv")).records

    assert fields(urt)["version"].endswith("URT")
    with pytest.raises(AnswerRefused, match="not supported"):
        read_csv(stored(samples / "_handmade" / "firms_landsat_nrt_shape.csv"))
