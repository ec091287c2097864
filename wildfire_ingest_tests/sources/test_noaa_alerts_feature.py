"""What one alert becomes: its own id, its event, its end, and nothing made up."""

import math

import pytest

from wildfire_ingest_tests.sources.alerts import (
    CODE,
    ID,
    alerts,
    collection,
    feature,
    only,
    reference,
)


def test_an_alert_keeps_what_nws_says_and_its_times_are_utc():
    body = only(feature(7)).body

    assert body.alert_id == f"{ID}7"
    assert (body.event, body.message_type, body.severity) == ("Red Flag Warning", "Alert", "Severe")
    assert (body.sent, body.ends) == ("2026-05-14T16:07:00Z", "2026-05-15T22:00:00Z")
    assert (body.ugc, body.same, body.zones) == (("CAZ221",), ("006063",), ("fire/CAZ221",))
    assert (body.awips_id, body.event_code) == ("RFWSTO", "FWW")
    assert body.unreadable == ()


def test_defect_42_an_alert_has_its_id_and_updates_and_cancellations_are_kept():
    kinds = ("Alert", "Update", "Cancel")

    records = (
        alerts()
        .read(collection(*(feature(n, messageType=kind) for n, kind in enumerate(kinds, 1))))
        .records
    )

    assert [record.natural_key.decode() for record in records] == [f"{ID}{n}" for n in (1, 2, 3)]
    assert [record.body.message_type for record in records] == list(kinds)


def test_the_observed_time_is_the_time_of_sending():
    assert only(feature(sent="2026-05-14T09:25:00.75-07:00")).observed_at_s == 1_778_775_900


def test_the_event_key_is_office_phenomenon_significance_number_and_year():
    record = only(feature())

    assert record.body.event_key == "KSTO.FW.W.0007.2026"
    assert record.partition_key == b"KSTO.FW.W.0007.2026"


def test_an_event_over_new_year_keeps_the_year_of_its_first_message():
    going_on = "/O.CON.KSTO.FW.W.0007.000000T0000Z-270102T2200Z/"
    first = reference(1, sent="2026-12-31T10:00:00-08:00")

    record = only(feature(2, sent="2027-01-01T10:00:00-08:00", vtec=[going_on], references=[first]))

    assert record.body.event_key == "KSTO.FW.W.0007.2026"


def test_the_year_of_an_expired_first_message_counts_as_well():
    going_on = "/O.CON.KSTO.FW.W.0007.000000T0000Z-270102T2200Z/"
    expired = f"w-nws.webmaster@noaa.gov,{ID}1,2026-12-31T10:00:00-08:00"

    record = only(
        feature(
            2,
            sent="2027-01-01T10:00:00-08:00",
            vtec=[going_on],
            parameters={"expiredReferences": [expired]},
        )
    )

    assert record.body.event_key == "KSTO.FW.W.0007.2026"
    assert record.body.expired_references == (f"{ID}1",)


def test_a_new_event_is_numbered_in_its_own_year_whatever_it_replaces():
    watch = reference(1, sent="2025-12-31T10:00:00-08:00")

    assert only(feature(2, references=[watch])).body.event_key == "KSTO.FW.W.0007.2026"


def test_without_vtec_every_message_of_a_chain_has_the_key_of_the_first():
    first = feature(1, vtec=[])
    second = feature(2, vtec=[], references=[reference(1)])
    third = feature(3, vtec=[], references=[reference(2), reference(1)])

    keys = {only(one).body.event_key for one in (first, second, third)}

    assert keys == {f"{ID}1"}


@pytest.mark.parametrize(
    ("ends", "code", "expires", "end", "found_by"),
    [
        ("2026-05-15T15:00:00-07:00", CODE, "2026-05-14T21:30:00-07:00", "15T22:00", "ends"),
        (None, CODE, "2026-05-14T21:30:00-07:00", "15T22:00", "vtec"),
        (..., CODE, "2026-05-14T21:30:00-07:00", "15T22:00", "vtec"),
        (
            None,
            "/O.CON.KSTO.FW.W.0007.000000T0000Z-000000T0000Z/",
            "2026-05-14T21:30:00-07:00",
            "15T04:30",
            "expires",
        ),
        (None, None, "2026-05-14T21:30:00-07:00", "15T04:30", "expires"),
    ],
)
def test_an_event_ends_at_its_end_then_that_of_its_vtec_then_with_its_message(
    ends, code, expires, end, found_by
):
    body = only(feature(ends=ends, expires=expires, vtec=[code] if code else [])).body

    assert (body.ends_at, body.ends_from) == (f"2026-05-{end}:00Z", found_by)


def test_an_alert_without_any_end_has_none():
    body = only(feature(ends=None, expires=None, vtec=[])).body

    assert (body.ends_at, body.ends_from) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "error_class", "told"),
    [
        ({"id": ...}, "bad_id", "urn:oid"),
        ({"id": "two words"}, "bad_id", "'two words'"),
        ({"event": ...}, "bad_event", "NoneType"),
        ({"event": "  "}, "bad_event", "Red Flag Warning"),
        ({"sent": ...}, "bad_time", "NoneType"),
        ({"sent": "date:now -312 seconds"}, "bad_time", "date:now"),
        ({"sent": "2026-05-14T09:25:00"}, "bad_time", "-05:00"),
        ({"sent": "9999-12-31T23:59:59-14:00"}, "bad_time", "9999"),
    ],
)
def test_an_alert_without_id_event_or_time_is_rejected_with_the_reason(wrong, error_class, told):
    decoded = alerts().read(collection(feature(1), feature(2, **wrong)))

    (reject,) = decoded.rejects
    assert (reject.error_class, len(decoded.records)) == (error_class, 1)
    assert told in reject.reason


@pytest.mark.parametrize("value", [1, "text", None, [], {"type": "Feature"}])
def test_a_feature_that_is_none_is_rejected(value):
    decoded = alerts().read(collection(value))

    assert [reject.error_class for reject in decoded.rejects] == ["no_properties"]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"onset": "soon"}, "onset"),
        ({"expires": 5}, "expires"),
        ({"areaDesc": ["a"]}, "area_desc"),
        ({"references": "urn:1"}, "references"),
        ({"references": [{"identifier": 5}]}, "references"),
        ({"vtec": ["/O.NEW.KSTO.FW.W.0007/"]}, "vtec"),
        ({"vtec": [5]}, "vtec"),
        ({"geocode": "CA"}, "ugc"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[200, 0]]]}}, "geometry"),
    ],
)
def test_a_strange_part_is_left_out_and_named_and_the_alert_is_kept(wrong, name):
    decoded = alerts().read(collection(feature(**wrong)))

    (record,) = decoded.records
    assert name in record.body.unreadable
    assert name in decoded.notes[0]


def test_unknown_keys_are_ignored():
    assert only(feature(1, newKey={"a": [1]})) == only(feature(1))


def test_only_the_alert_types_asked_for_are_kept_in_any_case_of_letters():
    answer = collection(feature(1), feature(2, event="Flood Advisory"))

    decoded = alerts(alert_types=("red flag  WARNING",)).read(answer)

    assert [record.body.event for record in decoded.records] == ["Red Flag Warning"]
    assert (decoded.filtered, decoded.rejects) == (1, [])


@pytest.mark.parametrize("status", ["Test", "Exercise", "Draft", "System", "TEST"])
def test_what_asks_nobody_to_act_is_filtered(status):
    decoded = alerts().read(collection(feature(status=status)))

    assert (decoded.filtered, decoded.rows) == (1, 1)


@pytest.mark.parametrize("status", ["Actual", "Unheard of", ...])
def test_an_alert_of_any_other_status_is_kept(status):
    assert only(feature(status=status)).body.event == "Red Flag Warning"


def test_messages_come_in_the_order_of_sending_and_an_update_after_what_it_updates():
    second = feature(2, sent="2026-05-14T09:05:00-07:00", references=[reference(5)])

    records = alerts().read(collection(feature(9), second, feature(5), feature(1))).records

    assert [record.body.alert_id[len(ID) :] for record in records] == ["1", "5", "2", "9"]


def test_parts_of_a_second_count_in_that_order():
    halves = feature(1, sent="2026-05-14T09:05:00.5Z"), feature(2, sent="2026-05-14T09:05:00Z")

    records = alerts().read(collection(*halves)).records

    assert [record.body.alert_id[len(ID) :] for record in records] == ["2", "1"]


def test_an_alert_that_is_no_utf8_is_a_reject_and_its_neighbour_a_record():
    answer = collection(feature(1, headline="HALF"), feature(2)).replace(b"HALF", b"\xff\xfe")

    decoded = alerts().read(answer)

    assert [reject.error_class for reject in decoded.rejects] == ["bad_json"]
    assert len(decoded.records) == 1


def test_a_polygon_is_kept_as_it_is():
    ring = [[[-121.5, 39.25], [-121, 39.25], [-121, 40, 12.5], [-121.5, 39.25]]]

    geometry = only(feature(geometry={"type": "Polygon", "coordinates": ring})).body.geometry

    assert (geometry.type, geometry.coordinates) == ("Polygon", ring)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[-121.5, 39.25]]},
        {"type": "Point", "coordinates": [-121.5]},
        {"type": "Point", "coordinates": [-121.5, True]},
        {"type": "Point", "coordinates": [-121.5, 90.5]},
        {"type": "Point", "coordinates": ["-121.5", "39"]},
        {"type": "Circle", "coordinates": [-121.5, 39]},
        {"type": ["Point"], "coordinates": [-121.5, 39]},
        {"type": "MultiPoint", "coordinates": [[0, 0]] * 10_001},
        [-121.5, 39],
    ],
)
def test_a_geometry_that_cannot_be_drawn_is_left_out(geometry):
    body = only(feature(geometry=geometry)).body

    assert (body.geometry, body.unreadable) == (None, ("geometry",))


def test_no_number_of_a_geometry_is_infinite():
    answer = collection(feature(geometry={"type": "Point", "coordinates": [math.inf, 1]}))

    decoded = alerts().read(answer.replace(b"Infinity", b"1e400"))

    assert decoded.rows == 1
    assert all(record.body.geometry is None for record in decoded.records)


def test_an_alert_with_half_a_character_is_rejected_and_the_others_are_read():
    whole = collection(feature(1), feature(2, headline="HALF")).replace(b"HALF", rb"\ud800")

    found = alerts().read(whole)

    assert len(found.records) == 1
    assert [reject.error_class for reject in found.rejects] == ["bad_json"]
