"""Rows of a FIRMS CSV become records with units and standard words, or explained rejects."""

import struct
from datetime import UTC, datetime

import h3
import pytest

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.sources import firms_csv
from wildfire_ingest.sources.firms_csv import read_csv

VIIRS = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,"
    "confidence,version,bright_ti5,frp,daynight"
)
VIIRS_STATIC = VIIRS.replace("instrument,", "")
MODIS = VIIRS.replace("bright_ti4", "brightness").replace("bright_ti5", "bright_t31")
ROW = "50.50677,-120.79179,330.73,0.4,0.37,2025-04-03,2055,N,VIIRS,n,2.0NRT,288.08,3.59,D"
MODIS_ROW = "20.88293,84.98697,314.43,1.09,1.04,2026-09-16,939,Aqua,MODIS,30,6.1NRT,299.05,7.67,D"


def csv_of(header, *rows):
    return ("\n".join([header, *rows]) + "\n").encode()


def only(decoded):
    assert len(decoded.records) == 1, decoded.rejects
    return decoded.records[0]


def cell(row, header, **values):
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    return ",".join((cells | values).values())


def test_a_viirs_row_becomes_a_detection_with_units_and_standard_words():
    body = only(read_csv(csv_of(VIIRS, ROW))).body

    assert (body.latitude, body.longitude) == (50.50677, -120.79179)
    assert (body.satellite, body.instrument, body.version) == ("S-NPP", "VIIRS", "2.0NRT")
    assert (body.brightness_k, body.brightness_t31_k) == (330.73, 288.08)
    assert (body.scan_km, body.track_km, body.frp_mw) == (0.4, 0.37, 3.59)
    assert (body.confidence, body.confidence_percent, body.daynight) == ("nominal", None, "D")


def test_a_modis_row_keeps_its_percentage_and_gets_a_class():
    body = only(read_csv(csv_of(MODIS, MODIS_ROW))).body

    assert (body.satellite, body.instrument) == ("Aqua", "MODIS")
    assert (body.confidence, body.confidence_percent) == ("nominal", 30)
    assert (body.brightness_k, body.brightness_t31_k) == (314.43, 299.05)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(0, "low"), (29, "low"), (30, "nominal"), (79, "nominal"), (80, "high"), (100, "high")],
)
def test_modis_confidence_has_the_documented_classes(percent, expected):
    row = cell(MODIS_ROW, MODIS, confidence=str(percent))

    assert only(read_csv(csv_of(MODIS, row))).body.confidence == expected


@pytest.mark.parametrize(
    ("acq_time", "hour", "minute"),
    [("5", 0, 5), ("37", 0, 37), ("650", 6, 50), ("0020", 0, 20), ("2055", 20, 55), ("0", 0, 0)],
)
def test_acq_time_is_hours_and_minutes_of_utc_with_its_zeros_put_back(acq_time, hour, minute):
    record = only(read_csv(csv_of(VIIRS, cell(ROW, VIIRS, acq_time=acq_time))))

    assert record.observed_at_s == datetime(2025, 4, 3, hour, minute, tzinfo=UTC).timestamp()


def test_api_static_and_archive_spellings_of_one_row_have_one_key():
    api = "50.5,-120.7,330.7,0.4,0.37,2025-04-03,5,N20,VIIRS,n,2.0NRT,288,3.59,D"
    static = "50.50000,-120.70000,330.70,0.40,0.37,2025-04-03,0005,1,nominal,2.0NRT,288.0,3.59,D"
    archive = "50.50,-120.7,330.70,0.4,0.37,2025-04-03,0005,N20,VIIRS,n,2.0NRT,288.0,3.59,D"

    read = [
        only(read_csv(csv_of(header, row)))
        for header, row in [(VIIRS, api), (VIIRS_STATIC, static), (VIIRS, archive)]
    ]

    assert len({record.natural_key for record in read}) == 1
    assert read[0] == read[1] == read[2]


def test_the_key_names_family_satellite_time_and_place():
    place = struct.pack("<dd", 50.50677, -120.79179)
    assert only(read_csv(csv_of(VIIRS, ROW))).natural_key == b"VIIRS|S-NPP|2025-04-03|2055|" + place


@pytest.mark.parametrize(
    "change",
    [
        {"latitude": "50.50678"},
        {"longitude": "-120.7918"},
        {"acq_time": "2056"},
        {"acq_date": "2025-04-04"},
        {"satellite": "N21"},
    ],
)
def test_another_place_minute_or_satellite_is_another_key(change):
    records = read_csv(csv_of(VIIRS, ROW, cell(ROW, VIIRS, **change))).records

    assert len({record.natural_key for record in records}) == 2


def test_other_values_of_one_row_are_one_key_with_another_body():
    first, second = read_csv(csv_of(VIIRS, ROW, cell(ROW, VIIRS, frp="9.9"))).records

    assert first.natural_key == second.natural_key
    assert first.body != second.body


def test_neighbouring_pixels_share_a_partition_and_other_continents_do_not():
    near = cell(ROW, VIIRS, latitude="50.5099")
    far = cell(ROW, VIIRS, latitude="-33.9")

    keys = [record.partition_key for record in read_csv(csv_of(VIIRS, ROW, near, far)).records]

    assert keys[0] == keys[1] == h3.latlng_to_cell(50.50677, -120.79179, 5).encode()
    assert keys[2] != keys[0]


def test_columns_are_found_by_name_in_any_order():
    names = VIIRS.split(",")
    turned = csv_of(",".join(reversed(names)), ",".join(reversed(ROW.split(","))))

    assert read_csv(turned).records == read_csv(csv_of(VIIRS, ROW)).records


def test_a_new_column_is_noted_and_the_rows_are_read():
    decoded = read_csv(csv_of(VIIRS + ",smoke", ROW + ",7"))

    assert only(decoded)
    assert decoded.notes == ("new column, not read: smoke",)


@pytest.mark.parametrize("header", ["country_id," + VIIRS, VIIRS + ",type"])
def test_the_columns_of_the_country_feed_and_of_standard_products_are_no_news(header):
    row = "MEX," + ROW if header.startswith("country_id") else ROW + ",0"

    decoded = read_csv(csv_of(header, row))

    assert only(decoded) == only(read_csv(csv_of(VIIRS, ROW)))
    assert decoded.notes == ()


@pytest.mark.parametrize("name", ["frp", "bright_ti5", "acq_time", "longitude", "confidence"])
def test_a_missing_or_renamed_column_refuses_the_whole_answer_and_is_named(name):
    with pytest.raises(AnswerRefused, match=f"lacks {name}"):
        read_csv(csv_of(VIIRS.replace(name, name + "_x"), ROW))


def test_a_column_named_twice_refuses_the_answer():
    with pytest.raises(AnswerRefused, match="twice"):
        read_csv(csv_of(VIIRS + ",frp", ROW + ",1"))


def test_the_landsat_format_is_refused_with_its_reason():
    header = (
        "latitude,longitude,path,row,scan,track,acq_date,acq_time,satellite,confidence,daynight"
    )

    with pytest.raises(AnswerRefused, match="not supported"):
        read_csv(csv_of(header))


@pytest.mark.parametrize(
    "body", [csv_of(VIIRS), VIIRS.encode(), csv_of(VIIRS).replace(b"\n", b"\r\n")]
)
def test_a_header_alone_is_a_valid_answer_of_no_rows(body):
    assert read_csv(body).rows == 0


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing():
    body = b"\xef\xbb\xbf" + csv_of(VIIRS, ROW, ROW).replace(b"\n", b"\r\n")

    assert read_csv(body).records == read_csv(csv_of(VIIRS, ROW, ROW)).records


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 60])
def test_an_answer_cut_in_its_last_row_is_refused_as_a_whole(cut):
    with pytest.raises(AnswerRefused, match="truncated"):
        read_csv(csv_of(VIIRS, ROW, ROW)[: -1 - cut])


def test_a_whole_last_row_without_its_line_end_is_read():
    assert len(read_csv(csv_of(VIIRS, ROW, ROW)[:-1]).records) == 2


def test_a_ragged_row_in_the_middle_costs_only_itself():
    decoded = read_csv(csv_of(VIIRS, ROW, "1,2,3", ROW))

    assert (len(decoded.records), decoded.rows) == (2, 3)
    assert decoded.rejects[0].raw == b"1,2,3"
    assert decoded.rejects[0].error_class == "ragged_row"
    assert decoded.rejects[0].reason == "3 columns: expected 14"


def test_an_empty_cell_is_no_value_and_not_zero():
    body = only(read_csv(csv_of(VIIRS, cell(ROW, VIIRS, frp="", bright_ti5="")))).body

    assert (body.frp_mw, body.brightness_t31_k) == (None, None)


def test_quoted_cells_are_understood():
    quoted = ",".join(f'"{value}"' for value in ROW.split(","))

    assert read_csv(csv_of(VIIRS, quoted)).records == read_csv(csv_of(VIIRS, ROW)).records


@pytest.mark.parametrize(
    ("change", "error_class"),
    [
        ({"latitude": "91"}, "out_of_range"),
        ({"latitude": "nan"}, "bad_number"),
        ({"latitude": ""}, "bad_number"),
        ({"longitude": "-180.00001"}, "out_of_range"),
        ({"longitude": "inf"}, "bad_number"),
        ({"bright_ti4": "-9999"}, "out_of_range"),
        ({"bright_ti4": "1e999"}, "out_of_range"),
        ({"frp": "-999"}, "out_of_range"),
        ({"frp": "1_0"}, "bad_number"),
        ({"frp": " 1"}, "bad_number"),
        ({"frp": "\u0661\u0662"}, "bad_number"),
        ({"frp": "=1+1"}, "bad_number"),
        ({"frp": "+5"}, "bad_number"),
        ({"scan": "0x10"}, "bad_number"),
        ({"acq_date": "0000-01-01"}, "bad_date"),
        ({"acq_date": "2025-02-29"}, "bad_date"),
        ({"acq_date": "03/04/2025"}, "bad_date"),
        ({"acq_date": "9999-01-01"}, "bad_date"),
        ({"acq_time": "2400"}, "bad_time"),
        ({"acq_time": "1260"}, "bad_time"),
        ({"acq_time": "20:55"}, "bad_time"),
        ({"acq_time": ""}, "bad_time"),
        ({"satellite": "N99"}, "unknown_satellite"),
        ({"satellite": "Aqua"}, "unknown_satellite"),
        ({"instrument": "MODIS"}, "bad_instrument"),
        ({"confidence": "50"}, "unknown_confidence"),
        ({"confidence": "=cmd()"}, "unknown_confidence"),
        ({"version": "2.0\0"}, "bad_version"),
        ({"daynight": "X"}, "bad_daynight"),
        ({"daynight": '"'}, "bad_quoting"),
    ],
)
def test_a_bad_value_rejects_its_row_with_its_bytes_and_the_others_go_on(change, error_class):
    bad = cell(ROW, VIIRS, **change)

    decoded = read_csv(csv_of(VIIRS, ROW, bad, ROW))

    assert len(decoded.records) == 2
    (reject,) = decoded.rejects
    assert (reject.raw, reject.error_class) == (bad.encode(), error_class)
    assert "expected" in reject.reason or "quote" in reject.reason or "no such" in reject.reason


def test_a_row_of_megabytes_is_rejected_with_the_beginning_of_its_bytes():
    huge = "9" * 5_000_000

    decoded = read_csv(csv_of(VIIRS, ROW, huge, ROW))

    assert len(decoded.records) == 2
    assert decoded.rejects[0].error_class == "oversized_row"
    assert len(decoded.rejects[0].raw) == firms_csv.MAX_ROW_BYTES
    assert "5,000,000 bytes" in decoded.rejects[0].reason


@pytest.mark.parametrize("line", ["x", "", "  "])
def test_a_body_of_nothing_but_bad_lines_without_end_is_refused(monkeypatch, line):
    monkeypatch.setattr(firms_csv, "MAX_REJECTS", 10)

    with pytest.raises(AnswerRefused, match="more than 10 lines"):
        read_csv(csv_of(VIIRS, *[line] * 11))


def test_blank_lines_are_no_rows():
    assert read_csv(csv_of(VIIRS, ROW, "", "  ", ROW)).rows == 2


def test_minus_zero_is_zero():
    plain, minus = (cell(ROW, VIIRS, latitude=text) for text in ("0", "-0.0"))

    records = read_csv(csv_of(VIIRS, plain, minus)).records

    assert records[0].natural_key == records[1].natural_key
    assert records[0].partition_key == records[1].partition_key
