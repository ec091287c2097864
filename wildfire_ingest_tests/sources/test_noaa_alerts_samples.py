"""Every recorded alerts answer is read with no unexplained row, and with the values it holds.

The expected values are read here in another way: json, an own pattern for VTEC, fromisoformat.
"""

import json
import re
from datetime import UTC, datetime

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.sources.schema import json_schema
from wildfire_ingest.sources.weather_alert import WeatherAlert
from wildfire_ingest_tests.sources.alerts import alerts, polled, stored

pytestmark = pytest.mark.samples

NOON = 1_778_760_000_000_000
ROWS = {
    "bundles/alerts_active_2025-12-15T2155.bundle.json.gz": (0, 529),
    "bundles/alerts_active_2026-05-14T1635.bundle.json.gz": (0, 246),
    "pynws/alerts_active_zone.json": (1, 0),
    "pynws/alerts_active_zone_second.json": (2, 0),
    "resolved/alerts_active_2025-12-15T2155.fire_related.json": (4, 0),
    "resolved/alerts_active_2025-12-15T2155.json.gz": (529, 0),
    "resolved/alerts_active_2026-05-14T1635.fire_related.json": (48, 0),
    "resolved/alerts_active_2026-05-14T1635.json.gz": (246, 0),
}
"""Recorded answer -> records, rejects; the bundles have no times but `date:now -312 seconds`."""
READABLE = [name for name, (records, _) in ROWS.items() if records]
CODE = re.compile(r"^/([OTEX])\.(\w{3})\.(\w{4})\.(\w\w)\.(\w)\.(\d{4})\.(\w+)Z-(\w+)Z/$")


def answer(samples, name):
    body = stored(samples / "nws" / name)
    return body, json.loads(body)


def utc(text):
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def of_code(text):
    moment = None if text.startswith("000000") else datetime.strptime(text, "%y%m%dT%H%M")  # noqa: DTZ007 - VTEC has no offset to parse
    return moment and moment.strftime("%Y-%m-%dT%H:%M:00Z")


def code_of(text):
    found = CODE.match(text)
    assert found is not None
    product, action, office, phenomenon, significance, number, begins, ends = found.groups()
    times = {"begins": of_code(begins), "ends": of_code(ends)}
    return {
        "text": text,
        "product": product,
        "action": action,
        "office": office,
        "phenomenon": phenomenon,
        "significance": significance,
        "number": int(number),
        **{name: value for name, value in times.items() if value},
    }


def key_of(props, codes):
    """The event: root of the chain for those without VTEC."""
    chain = [(ref["sent"], ref["identifier"]) for ref in props["references"]]
    for group in props["parameters"].get("expiredReferences", []):
        chain += [tuple(one.split(",")[2:0:-1]) for one in group.split(" ")]
    chain = sorted((datetime.fromisoformat(sent), alert_id) for sent, alert_id in chain)
    if not codes:
        return chain[0][1] if chain else props["id"]
    times = [datetime.fromisoformat(props["sent"])]
    if codes[0]["action"] != "NEW":
        times += [sent for sent, _ in chain]
        begins = codes[0].get("begins")
        times += [datetime.fromisoformat(begins)] if begins else []
    first = codes[0]
    stem = (first["office"], first["phenomenon"], first["significance"], f"{first['number']:04}")
    return ".".join((*stem, str(min(moment.astimezone(UTC).year for moment in times))))


def expected(feature):
    props = feature["properties"]
    codes = [code_of(text) for text in props["parameters"].get("VTEC", [])]
    by_code = codes[0].get("ends") if codes else None
    ends = props.get("ends")
    found_by = "ends" if ends else "vtec" if by_code else "expires"
    fields = {
        "alert_id": props["id"],
        "event": props["event"],
        "event_key": key_of(props, codes),
        "message_type": props["messageType"],
        "area_desc": props["areaDesc"],
        "sender_name": props["senderName"],
        "vtec": codes,
        "references": [reference["identifier"] for reference in props["references"]],
        "ugc": props["geocode"]["UGC"],
        "same": props["geocode"]["SAME"],
        "zones": ["/".join(zone.split("/")[-2:]) for zone in props["affectedZones"]],
        "geometry": feature["geometry"],
        "ends_from": found_by,
        "ends_at": by_code if found_by == "vtec" else utc(props[found_by]),
    }
    same = ("severity", "certainty", "urgency", "status", "category", "response", "description")
    times = ("sent", "effective", "onset", "expires", "ends")
    fields |= {key: (props[key] or "").strip() for key in (*same, "headline", "instruction")}
    fields |= {key: utc(props[key]) for key in times if props.get(key)}
    return {key: value for key, value in fields.items() if value}


@pytest.mark.parametrize("name", ROWS)
def test_every_feature_of_every_recorded_answer_is_a_record_or_has_its_reason(samples, name):
    body, whole = answer(samples, name)

    decoded = alerts().read(body)

    records, rejects = ROWS[name]
    assert (len(decoded.records), len(decoded.rejects), decoded.filtered) == (records, rejects, 0)
    assert records + rejects == len(whole["features"])
    assert {reject.error_class for reject in decoded.rejects} <= {"bad_time"}
    assert decoded.notes == ()


def test_no_recorded_alerts_answer_is_left_out(samples):
    found = {
        path.relative_to(samples / "nws").as_posix()
        for path in (samples / "nws").rglob("*alerts_active*")
    }

    assert found == set(ROWS)


@pytest.mark.parametrize("name", READABLE)
def test_every_record_holds_the_values_of_its_feature(samples, name):
    body, whole = answer(samples, name)

    records = alerts().read(body).records

    features = {feature["properties"]["id"]: feature for feature in whole["features"]}
    for record in records:
        fields = msgspec.to_builtins(record.body)
        kept = ("expired_references", "nws_headline", "awips_id", "event_code", "sender", "note")
        fields = {key: value for key, value in fields.items() if key not in kept}
        assert msgspec.json.decode(msgspec.json.encode(fields)) == expected(
            features[record.natural_key.decode()]
        )
    assert len({record.natural_key for record in records}) == len(features)


@pytest.mark.parametrize("name", READABLE)
def test_every_record_satisfies_its_schema(samples, name):
    schema = json_schema(WeatherAlert)
    body_only = jsonschema.Draft202012Validator(
        {**schema, "required": ["alert_id", "event", "event_key", "sent"]}
    )

    for record in alerts().read(answer(samples, name)[0]).records:
        body_only.validate(msgspec.json.decode(msgspec.json.encode(record.body)))


@pytest.mark.parametrize(
    ("name", "zones_only", "stale", "short", "endless", "codeless", "most"),
    [
        ("resolved/alerts_active_2025-12-15T2155.json.gz", 510, 156, 439, 18, 9, 11),
        ("resolved/alerts_active_2026-05-14T1635.json.gz", 232, 45, 181, 22, 21, 8),
    ],
)
def test_the_shares_that_the_rules_rest_on_are_those_measured(
    samples, name, zones_only, stale, short, endless, codeless, most
):
    body, whole = answer(samples, name)
    bodies = [record.body for record in alerts().read(body).records]
    now = utc(whole["updated"])
    keys = [one.event_key for one in bodies if one.vtec]

    assert sum(one.geometry is None for one in bodies) == zones_only
    assert sum(one.expires < now for one in bodies) == stale
    assert sum(one.ends is not None and one.expires < one.ends for one in bodies) == short
    assert sum(one.ends is None for one in bodies) == endless
    assert len(bodies) - len(keys) == codeless
    assert max(map(keys.count, keys)) == most


def test_the_recorded_alerts_about_fire_are_found_by_their_types(samples):
    name = "resolved/alerts_active_2026-05-14T1635.json.gz"

    decoded = alerts(alert_types=("Red Flag Warning", "Fire Weather Watch")).read(
        answer(samples, name)[0]
    )

    assert (len(decoded.records), decoded.filtered) == (40, 206)


@pytest.mark.parametrize(
    ("name", "status", "meaning"),
    [
        ("nws/errors/http404_invalid_point.json", 404, SourceRejected),
        ("nws/errors/http404_not_found_valid_station.json", 404, SourceUnavailable),
        ("nws/errors/http500_unexpected_problem.json", 500, SourceUnavailable),
        ("nws/errors/http503_unavailable_resource.json", 503, SourceUnavailable),
        ("_handmade/nws_http400_parameter_errors.json", 400, SourceRejected),
    ],
)
def test_a_recorded_error_ends_the_poll_by_its_name(samples, name, status, meaning):
    text = stored(samples / name).decode()
    problem = json.loads(text)["type"].rpartition("/")[2]
    refused = FetchError(f"status {status}", status=status, sample=text[:200])

    with pytest.raises(meaning, match=problem):
        polled(alerts(), None, NOON, [refused])


@pytest.mark.parametrize("name", ["http500_unexpected_problem", "http503_unavailable_resource"])
def test_a_recorded_error_is_no_answer(samples, name):
    with pytest.raises(AnswerRefused):
        alerts().read(stored(samples / "nws" / "errors" / f"{name}.json"))
