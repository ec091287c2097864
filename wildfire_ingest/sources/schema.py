"""What a consumer may rely on: the JSON Schema (2020-12) of each record type.

Pure.  Made from the body's own type, so the two cannot differ; the files under docs/schemas are
its output, and a test fails when they drift.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wildfire_ingest.record import Body
from wildfire_ingest.sources.fire_detection import FireDetection
from wildfire_ingest.sources.weather_alert import WeatherAlert
from wildfire_ingest.sources.weather_observation import WeatherObservation

BODIES: tuple[type[Body], ...] = (FireDetection, WeatherAlert, WeatherObservation)

_TIME = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$",
}


def _envelope(body: type[Body]) -> dict[str, Any]:
    """The fields that every record carries, before those of its type."""
    return {
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "The observation's identity: the same in every poll, feed and restart.",
        },
        "type": {"const": body.record_type},
        "source_id": {"type": "string", "minLength": 1},
        "schema_version": {"const": body.schema_version},
        "observed_at": {**_TIME, "description": "When it was observed, UTC."},
        "ingested_at": {**_TIME, "description": "When this system first had it, UTC."},
        "revision": {
            "type": "integer",
            "minimum": 0,
            "description": "0, 1, 2 … of one id; (id, revision) arrives exactly once.",
        },
    }


def _field(found: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without null: a field without a value is absent."""
    plain = {key: value for key, value in found.items() if key not in {"anyOf", "default", "enum"}}
    kinds = [kind for kind in found.get("anyOf", []) if kind != {"type": "null"}]
    plain.update(kinds[0] if kinds else {})
    values = found.get("enum") or plain.get("enum")
    return plain | {"enum": [value for value in values if value is not None]} if values else plain


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    return {name: _field(field) for name, field in found["properties"].items()}


def json_schema(body: type[Body]) -> dict[str, Any]:
    """The schema of one record type, envelope and body in one flat object.

    What the body holds of other structs stands under `$defs`.
    """
    _, components = msgspec.json.schema_components([body])
    found = components.pop(body.__name__)
    envelope = _envelope(body)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": body.record_type,
        "description": found.get("description", ""),
        "type": "object",
        "properties": {**envelope, **_fields(found)},
        "required": [*envelope, *found["required"]],
    }
    parts = {name: {**part, "properties": _fields(part)} for name, part in components.items()}
    return schema | {"$defs": parts} if parts else schema


def schema_files() -> dict[str, str]:
    """File name under docs/schemas -> its text."""
    return {
        f"{body.record_type}.v{body.schema_version}.json": msgspec.json.format(
            msgspec.json.encode(json_schema(body)), indent=2
        ).decode()
        + "\n"
        for body in BODIES
    }
