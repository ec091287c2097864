"""What was truly served: distinct observations and alerts, and how often one came with another
content than the last time.

Independent of the sources' own reading on purpose.  The content is what a record holds: readings
with unit and flag of an observation, the words of an alert; not its bytes.  The keys that were
not served for the longest time are forgotten past a million, so memory is bounded.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict
from typing import Any, Literal

import msgspec

from wildfire_ingest.simulator.firms_truth import MAX_KEYS, TruthCounts

Stream = Literal["observations", "alerts"]

QUANTITIES = (
    *("temperature", "dewpoint", "relativeHumidity", "windSpeed", "windGust", "windDirection"),
    *("barometricPressure", "seaLevelPressure", "visibility", "windChill", "heatIndex"),
    *("precipitationLastHour", "precipitationLast3Hours", "precipitationLast6Hours"),
    *("maxTemperatureLast24Hours", "minTemperatureLast24Hours"),
)
WORDS = (
    *("event", "severity", "certainty", "urgency", "status", "messageType", "references"),
    *("sent", "effective", "onset", "expires", "ends", "headline", "description", "instruction"),
    *("areaDesc", "geocode", "affectedZones", "response", "senderName", "parameters"),
)


class _Feature(msgspec.Struct, frozen=True):
    properties: dict[str, Any]
    geometry: Any = None


class _Body(msgspec.Struct, frozen=True):
    """A list of features, or (`type` is Feature) one alone."""

    type: str = ""
    features: list[msgspec.Raw] | None = None


_read_body = msgspec.json.Decoder(_Body).decode
_read_feature = msgspec.json.Decoder(_Feature).decode


class NwsTruth:
    """Counts the answers of one stream as they are served.  Thread-safe."""

    def __init__(self, stream: Stream, max_keys: int = MAX_KEYS) -> None:
        self._stream = stream
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._counts = TruthCounts()
        self._key_of_bytes: dict[bytes, str] = {}
        self._seen: dict[str, tuple[bytes, bytes]] = {}
        """key -> digests of the feature's bytes and of its content; last served last."""

    def note(self, body: bytes) -> None:
        """One answer was sent whole; of what is no feature list, as a recording may be, no row."""
        try:
            found = _read_body(body)
        except msgspec.DecodeError:
            found = _Body()
        raws = [body] if found.type == "Feature" else [bytes(raw) for raw in found.features or ()]
        with self._lock:
            verdicts = [self._note_feature(raw) for raw in raws]
            before = self._counts
            self._counts = TruthCounts(
                before.answers + 1,
                before.rows + len(raws),
                before.distinct_rows + verdicts.count("new"),
                before.value_changes + verdicts.count("changed"),
            )

    def _note_feature(self, raw: bytes) -> Literal["new", "changed", "known", "nameless"]:
        exact = _digest(raw)
        key = self._key_of_bytes.get(exact)
        if key is not None and self._seen[key][0] == exact:
            self._seen[key] = self._seen.pop(key)
            return "known"
        try:
            key, content = self._judged(_read_feature(raw))
        except (msgspec.DecodeError, KeyError, AttributeError):
            return "nameless"
        before = self._seen.pop(key, None)
        if before is not None:
            self._key_of_bytes.pop(before[0], None)
        self._seen[key] = (exact, content)
        self._key_of_bytes[exact] = key
        self._forget()
        if before is None:
            return "new"
        return "known" if before[1] == content else "changed"

    def _judged(self, feature: _Feature) -> tuple[str, bytes]:
        properties = feature.properties
        if self._stream == "alerts":
            words = [properties.get(name) for name in WORDS]
            return properties["id"], _digest(msgspec.json.encode([words, feature.geometry]))
        station = properties["station"].rpartition("/")[2]
        readings = [_reading(properties.get(name)) for name in QUANTITIES]
        return f"{station}|{properties['timestamp']}", _digest(msgspec.json.encode(readings))

    def _forget(self) -> None:
        while len(self._seen) > self._max_keys:
            oldest = next(iter(self._seen))
            self._key_of_bytes.pop(self._seen.pop(oldest)[0], None)

    @property
    def counts(self) -> TruthCounts:
        return self._counts


class NwsTruths:
    """One truth for each stream."""

    def __init__(self) -> None:
        self._of: dict[Stream, NwsTruth] = {
            "observations": NwsTruth("observations"),
            "alerts": NwsTruth("alerts"),
        }

    def __getitem__(self, stream: Stream) -> NwsTruth:
        return self._of[stream]

    def state(self) -> dict[str, Any]:
        """The counts of each, as JSON values."""
        return {
            stream: {**asdict(one.counts), "expected_records": one.counts.expected_records}
            for stream, one in self._of.items()
        }


def _reading(quantity: dict[str, Any] | None) -> tuple[object, ...] | None:
    """The unit counts: a number says nothing without it.  Of a null one the flag says nothing."""
    if quantity is None or quantity.get("value") is None:
        return None
    flag = (quantity.get("qualityControl") or "").removeprefix("qc:")
    return quantity.get("unitCode"), quantity["value"], flag


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
