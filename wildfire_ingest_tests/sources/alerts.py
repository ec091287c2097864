"""Alerts for tests: a whole feature as NWS sends it, and answers made of such."""

import gzip
import json
from pathlib import Path

from wildfire_ingest.exchange import Answer
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.settings import NwsAlertsSettings

ID = "urn:oid:2.49.0.1.840.0.97004060f1117c1898b0df28c301f51d749473c7.002."
SHAPE = {
    "areaDesc": "Northern Sierra",
    "geocode": {"SAME": ["006063"], "UGC": ["CAZ221"]},
    "affectedZones": ["https://api.weather.gov/zones/fire/CAZ221"],
    "references": [],
    "effective": "2026-05-14T09:25:00-07:00",
    "onset": "2026-05-14T11:00:00-07:00",
    "expires": "2026-05-14T21:30:00-07:00",
    "ends": "2026-05-15T15:00:00-07:00",
    "status": "Actual",
    "messageType": "Alert",
    "category": "Met",
    "severity": "Severe",
    "certainty": "Likely",
    "urgency": "Expected",
    "sender": "w-nws.webmaster@noaa.gov",
    "senderName": "NWS Sacramento CA",
    "headline": "Red Flag Warning issued May 14",
    "description": "Gusty wind and low humidity.",
    "instruction": None,
    "response": "Prepare",
    "eventCode": {"SAME": ["NWS"], "NationalWeatherService": ["FWW"]},
}
CODE = "/O.NEW.KSTO.FW.W.0007.260514T1800Z-260515T2200Z/"


def feature(number=1, *, geometry=None, vtec=(CODE,), parameters=None, **properties):
    """One feature; every property can be set, or left out by `...`."""
    whole = {
        "id": f"{ID}{number}",
        "event": "Red Flag Warning",
        "sent": f"2026-05-14T09:{number:02d}:00-07:00",
        **SHAPE,
        "parameters": {"VTEC": list(vtec), "AWIPSidentifier": ["RFWSTO"]} | (parameters or {}),
        **properties,
    }
    return {
        "id": f"https://api.weather.gov/alerts/{ID}{number}",
        "type": "Feature",
        "geometry": geometry,
        "properties": {key: value for key, value in whole.items() if value is not ...},
    }


def reference(number, sent=None):
    """How a later message names message `number`."""
    return {
        "@id": f"https://api.weather.gov/alerts/{ID}{number}",
        "identifier": f"{ID}{number}",
        "sender": "w-nws.webmaster@noaa.gov",
        "sent": sent or f"2026-05-14T09:{number:02d}:00-07:00",
    }


def collection(*features, next_url=None):
    """An answer of /alerts."""
    whole = {"type": "FeatureCollection", "features": features, "updated": "2026-05-14T16:25:00Z"}
    return json.dumps(whole | ({"pagination": {"next": next_url}} if next_url else {})).encode()


def alerts(**settings):
    """The source."""
    return NoaaAlerts(NwsAlertsSettings(source_id="noaa_alerts_california", **settings))


def only(*features, **settings):
    """The one record of an answer."""
    (record,) = alerts(**settings).read(collection(*features)).records
    return record


def polled(source, cursor, now_us, answers=()):
    """Drive one poll: what was asked, and what came of it; an exception is thrown in.

    The last of `answers` repeats; without any, every answer is empty.
    """
    asking, asked = source.poll(cursor, now_us), []
    left = list(answers) or [collection()]
    try:
        request = next(asking)
        while True:
            asked.append(request.template)
            reply = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(reply, Exception):
                request = asking.throw(reply)
                continue
            answer = reply if isinstance(reply, Answer) else Answer(200, {}, reply, now_us)
            request = asking.send(answer)
    except StopIteration as done:
        return asked, done.value


def unchanged(now_us=0):
    """What fetch gives for a 304."""
    return Answer(304, {}, b"", now_us, not_modified=True)


def stored(path: Path) -> bytes:
    """A recorded answer."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw
