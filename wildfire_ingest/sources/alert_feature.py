"""What one feature of an alerts answer says: a WeatherAlert, or the reason why it is none.

Pure.  Without id, event and time of sending there is no alert.  Any other part that cannot be
read is left out and named in `unreadable`: a warning with a strange polygon is still a warning.
Source: https://api.weather.gov/openapi.json (Alert).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from wildfire_ingest.record import Record
from wildfire_ingest.sources.geojson_geometry import Geometry, read_geometry
from wildfire_ingest.sources.utc_time import Moment, read_time, shown
from wildfire_ingest.sources.vtec import Vtec, read_vtec
from wildfire_ingest.sources.weather_alert import EndsFrom, WeatherAlert

NOT_FOR_THE_PUBLIC = frozenset({"test", "exercise", "draft", "system"})
"""Statuses whose messages ask nobody to act."""

_TEXTS = {
    "status": "status",
    "message_type": "messageType",
    "severity": "severity",
    "certainty": "certainty",
    "urgency": "urgency",
    "category": "category",
    "response": "response",
    "headline": "headline",
    "description": "description",
    "instruction": "instruction",
    "note": "note",
    "area_desc": "areaDesc",
    "sender": "sender",
    "sender_name": "senderName",
}
_LISTS = {"ugc": ("geocode", "UGC"), "same": ("geocode", "SAME")}
"""Field -> property of NWS, or object and key in it; taken over as they are."""

_ID = re.compile(r"[\x21-\x7e]{1,256}")
_MAX_EVENT_CHARS = 200
_NO_TIME_S = float("inf")
_ZONES = "/zones/"


class BadAlert(ValueError):
    """One feature cannot be a record."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message about the same event."""

    alert_id: str
    sent: datetime | None

    @property
    def order(self) -> tuple[float, str]:
        """The first message of an event has the least."""
        return (self.sent.timestamp() if self.sent else _NO_TIME_S, self.alert_id)


@dataclass(slots=True)
class _Properties:
    """The properties of one feature, and which of them could not be read."""

    values: dict[str, object]
    unreadable: list[str] = field(default_factory=list)

    def text(self, key: str, name: str) -> str | None:
        found = self.values.get(key)
        if found is None:
            return None
        if not isinstance(found, str):
            self.unreadable.append(name)
            return None
        return found.strip() or None

    def moment(self, key: str) -> Moment | None:
        found = self.text(key, key)
        moment = read_time(found) if found is not None else None
        if found is not None and moment is None:
            self.unreadable.append(key)
        return shown(moment) if moment else None

    def texts(self, group: str, key: str, name: str) -> tuple[str, ...]:
        """A list of texts, or one; `group` is the object that it stands in, or nothing."""
        inside = self.values.get(group) if group else self.values
        found = inside.get(key) if isinstance(inside, dict) else None
        if found is None and (inside is None or isinstance(inside, dict)):
            return ()
        items = found if isinstance(found, list) else [found]
        if not all(isinstance(item, str) for item in items):
            self.unreadable.append(name)
        return tuple(text for item in items if isinstance(item, str) and (text := item.strip()))


def read_alert(feature: bytes) -> Record:
    """One feature.  Raises BadAlert with what was found and what was expected."""
    found = _properties(feature)
    alert_id = _alert_id(found)
    event = _event(found)
    sent = _sent(found)
    codes = _codes(found)
    references = _references(found)
    expired = _expired_references(found)
    key = event_key(alert_id, sent, codes, [*references, *expired])
    expires, ends = found.moment("expires"), found.moment("ends")
    ends_at, ends_from = end_of(ends, codes, expires)
    texts: dict[str, Any] = {name: found.text(key, name) for name, key in _TEXTS.items()}
    lists: dict[str, Any] = {name: found.texts(*at, name) for name, at in _LISTS.items()}
    body = WeatherAlert(
        **texts,
        **lists,
        alert_id=alert_id,
        event=event,
        event_key=key,
        sent=shown(sent),
        event_code=_first(found.texts("eventCode", "NationalWeatherService", "event_code")),
        vtec=codes,
        references=tuple(one.alert_id for one in references),
        expired_references=tuple(one.alert_id for one in expired),
        effective=found.moment("effective"),
        onset=found.moment("onset"),
        expires=expires,
        ends=ends,
        ends_at=ends_at,
        ends_from=ends_from,
        nws_headline="\n".join(found.texts("parameters", "NWSheadline", "nws_headline")) or None,
        zones=_zones(found),
        geometry=_geometry(found),
        awips_id=_first(found.texts("parameters", "AWIPSidentifier", "awips_id")),
        unreadable=tuple(sorted(set(found.unreadable))),
    )
    return Record(alert_id.encode(), int(sent.timestamp()), key.encode(), body)


def event_key(
    alert_id: str, sent: datetime, codes: tuple[Vtec, ...], earlier: list[Reference]
) -> str:
    """The event that a message is about, the same for all of its messages.

    With VTEC: `KSTO.FW.W.0007.2026`.  Offices count anew each year (UTC), and the year is that of
    the event's first message: of a NEW one its own, of another the earliest that it refers to.
    Without VTEC: the id of the earliest message that it refers to, or its own.
    """
    if not codes:
        return min(earlier, key=lambda one: one.order).alert_id if earlier else alert_id
    first = codes[0]
    years = [sent.year]
    if first.action != "NEW":
        years += [one.sent.year for one in earlier if one.sent is not None]
        years += [int(first.begins[:4])] if first.begins else []
    return f"{first.event}.{min(years)}"


def end_of(
    ends: Moment | None, codes: tuple[Vtec, ...], expires: Moment | None
) -> tuple[Moment | None, EndsFrom | None]:
    """The best known end of the event and where it is from.

    `expires` is when the message goes stale: up to a third of the messages in force are past it.
    """
    if ends is not None:
        return ends, "ends"
    if codes and codes[0].ends is not None:
        return codes[0].ends, "vtec"
    return (expires, "expires") if expires is not None else (None, None)


def _properties(feature: bytes) -> _Properties:
    try:
        found = msgspec.json.decode(feature)
    # Too deep a nesting is a RecursionError, a lone half of a character a UnicodeError.
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadAlert("bad_json", f"the feature is no JSON: {error}") from None
    properties = found.get("properties") if isinstance(found, dict) else None
    if not isinstance(properties, dict):
        raise BadAlert("no_properties", f"expected a feature with properties, found {_seen(found)}")
    return _Properties({**properties, _GEOMETRY: found.get("geometry")})


_GEOMETRY = "geometry of the feature"
"""No key of NWS has spaces."""


def _alert_id(found: _Properties) -> str:
    value = found.values.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadAlert("bad_id", f"id {_seen(value)}: expected like urn:oid:2.49.0.1.840.0.…")
    return value


def _event(found: _Properties) -> str:
    value = found.values.get("event")
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_EVENT_CHARS:
        raise BadAlert("bad_event", f"event {_seen(value)}: expected a name, e.g. Red Flag Warning")
    return " ".join(value.split())


def _sent(found: _Properties) -> datetime:
    value = found.values.get("sent")
    moment = read_time(value) if isinstance(value, str) else None
    if moment is None:
        raise BadAlert(
            "bad_time", f"sent {_seen(value)}: expected a time like 2026-05-14T16:25:00-05:00"
        )
    return moment


def _codes(found: _Properties) -> tuple[Vtec, ...]:
    texts = found.texts("parameters", "VTEC", "vtec")
    codes = tuple(code for text in texts if (code := read_vtec(text)) is not None)
    if len(codes) < len(texts):
        found.unreadable.append("vtec")
    return codes


def _references(found: _Properties) -> list[Reference]:
    listed = found.values.get("references")
    references = []
    for one in listed if isinstance(listed, list) else [] if listed is None else [listed]:
        given = one if isinstance(one, dict) else {}
        alert_id, sent = given.get("identifier"), given.get("sent")
        if isinstance(alert_id, str) and _ID.fullmatch(alert_id):
            moment = read_time(sent) if isinstance(sent, str) else None
            references.append(Reference(alert_id, moment))
        else:
            found.unreadable.append("references")
    return references


def _expired_references(found: _Properties) -> list[Reference]:
    """`sender,id,sent sender,id,sent`: the references of CAP 1.2 whose messages have expired."""
    references = []
    for text in found.texts("parameters", "expiredReferences", "expired_references"):
        for one in text.split():
            _, alert_id, sent = (*one.split(",", 2), "", "")[:3]
            if _ID.fullmatch(alert_id):
                references.append(Reference(alert_id, read_time(sent)))
            else:
                found.unreadable.append("expired_references")
    return references


def _zones(found: _Properties) -> tuple[str, ...]:
    """`https://api.weather.gov/zones/fire/CAZ216` -> `fire/CAZ216`.

    The kind stays: a fire weather zone and a forecast zone of one number are different places.
    """
    return tuple(zone.rpartition(_ZONES)[2] for zone in found.texts("", "affectedZones", "zones"))


def _geometry(found: _Properties) -> Geometry | None:
    value = found.values[_GEOMETRY]
    geometry = read_geometry(value)
    if value is not None and geometry is None:
        found.unreadable.append("geometry")
    return geometry


def _first(texts: tuple[str, ...]) -> str | None:
    return texts[0] if texts else None


def _seen(value: object) -> str:
    """A value for a message: short, and printable whatever it is."""
    text = ascii(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - one line of a message
