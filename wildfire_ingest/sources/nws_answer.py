"""What an answer of api.weather.gov is: a list of features, or which of its errors.

Pure.  The API says errors as application/problem+json, whose `type` ends with the error's name;
what stands in front of it answers blocked callers with a page of its own; and now and then a
list is null in a body that else is whole.
Source: https://api.weather.gov/openapi.json, https://github.com/weather-gov/api/discussions.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import msgspec

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable

ACCEPT = {"Accept": "application/geo+json"}
"""Without it the API's cache has served answers that were hours to days old."""

BLOCKED_RETRY_S = 60.0
"""A block lasts seconds; the next minute is soon enough and does not prolong it."""

_EXAMINED = 4096
_SAMPLE = 200
_SERVER_ERROR = 500
_CLIENT_ERROR = 400

# A sample may be cut anywhere and has its line feeds as two characters: no JSON parser reads it.
_NAME = re.compile(r'"type"[\s\\nrt]*:[\s\\nrt]*"[^"\s]{0,200}?problems/(\w{1,60})')
_CORRELATION = re.compile(r'"correlationId"[\s\\nrt]*:[\s\\nrt]*"([\w-]{1,64})"')
_PARAMETER = re.compile(r'"parameter"[\s\\nrt]*:[\s\\nrt]*"([\w.\[\]-]{1,60})')
_BLOCKED = re.compile(r"access\s+denied|request\s+blocked|edgesuite|errors\.edge", re.IGNORECASE)

_PROBLEMS: dict[str, tuple[type[FetchError], str]] = {
    "UnexpectedProblem": (SourceUnavailable, "a failure of its own; it passes"),
    "UnavailableWebService": (SourceUnavailable, "its data are unavailable now; it passes"),
    "NotFound": (
        SourceUnavailable,
        "nothing there now: a station without data, or an id that NWS does not know",
    ),
    "InvalidPoint": (SourceRejected, "it has no data for this place, now or later"),
    "MarineForecastNotSupported": (SourceRejected, "it has no such data for a place at sea"),
    "InvalidParameter": (SourceRejected, "it refuses a parameter; check stations, zones, state"),
    "BadRequest": (SourceRejected, "it does not take this request; check stations, zones, state"),
}
"""The tail of a problem's `type` -> whose fault it is, and what it means."""


@dataclass(frozen=True, slots=True)
class FeatureList:
    """A FeatureCollection: each feature as its own JSON, unread."""

    features: tuple[bytes, ...]
    next_url: str = ""
    """The next page; also present on the last one, so stop where `features` is empty."""


class _Page(msgspec.Struct, frozen=True):
    next: str | None = None


class _Collection(msgspec.Struct, frozen=True):
    type: str = ""
    features: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    pagination: _Page | None = None


def named(error: FetchError) -> FetchError:
    """The error with its NWS name, judged by status and sample; itself where NWS has no name."""
    if error.status is None:
        return error
    found = problem(error.sample, error.status)
    if found is None:
        return error
    found.status, found.sample = error.status, error.sample
    found.retry_after_s = error.retry_after_s or found.retry_after_s
    return found


def problem(text: str, status: int) -> FetchError | None:
    """What a body, or its beginning, says is wrong; None for a text that is no error of NWS."""
    found = text[:_EXAMINED]
    if found.lstrip()[:1] == "<" or _BLOCKED.search(found[:_SAMPLE]):
        return _page(found, status)
    name = name_of(found)
    if name is not None:
        kind, meaning = _PROBLEMS.get(name, (_kind_of(status), "an error without explanation"))
        return kind(f"NWS says {name}{_details(found)}: {meaning}", status=status)
    if status >= _SERVER_ERROR and ('"@context"' in found or '"FeatureCollection"' in found):
        return SourceUnavailable(
            f"NWS says status {status} with a body like any other: its data are unavailable now",
            status=status,
        )
    return None


def read_features(body: bytes) -> FeatureList:
    """The features of one answer.  Raises AnswerRefused for a body that is no feature list.

    A single feature is a list of one.  Of a key that stands twice the last counts; unknown keys
    are skipped.
    """
    try:
        found = _decode(body)
    # Too deep a nesting is a RecursionError, a lone half of a character a UnicodeError.
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        lenient = _lenient(body)
        if lenient is not None:
            return lenient
        raise _refused(body, f"expected a FeatureCollection, found no such JSON: {error}") from None
    if found.type == "Feature" and found.features is msgspec.UNSET:
        return FeatureList((body,))
    if found.features is None:
        raise _refused(body, "its list of features is null: the data are unavailable now")
    if found.type != "FeatureCollection" or found.features is msgspec.UNSET:
        raise _refused(body, "expected a FeatureCollection, found another JSON object")
    features = tuple(bytes(feature) for feature in found.features)
    return FeatureList(features, (found.pagination and found.pagination.next) or "")


_decode = msgspec.json.Decoder(_Collection).decode


def _lenient(body: bytes) -> FeatureList | None:
    """The features where one of them has a NaN or half a character, which is then that one's fault.

    Not all the others', among which a warning may be.
    """
    try:
        found = json.loads(body)
        if not isinstance(found, dict) or found.get("type") != "FeatureCollection":
            return None
        listed, page = found.get("features"), found.get("pagination")
        if not isinstance(listed, list):
            return None
        features = tuple(json.dumps(one).encode() for one in listed)
    except (ValueError, RecursionError):
        return None
    next_url = page.get("next") if isinstance(page, dict) else None
    return FeatureList(features, next_url if isinstance(next_url, str) else "")


def _refused(body: bytes, why: str) -> AnswerRefused:
    text = body[:_EXAMINED].decode("utf-8", "backslashreplace")
    named_so = problem(text, 200)
    told = str(named_so) if named_so is not None else f"NWS's answer: {why}"
    return AnswerRefused(told, status=200, sample=text[:_SAMPLE])


def name_of(text: str) -> str | None:
    """The tail of a problem's `type`, e.g. NotFound."""
    found = _NAME.search(text)
    if found is not None:
        return found[1]
    # The list of refused parameters comes first and may push `type` out of the sample.
    return "BadRequest" if '"parameterErrors"' in text else None


def _details(text: str) -> str:
    parameter, correlation = _PARAMETER.search(text), _CORRELATION.search(text)
    parts = [f"parameter {parameter[1]}"] if parameter else []
    parts += [f"correlationId {correlation[1]}"] if correlation else []
    return f" ({', '.join(parts)})" if parts else ""


def _page(text: str, status: int) -> FetchError | None:
    if not _BLOCKED.search(text):
        return None
    return SourceUnavailable(
        f"NWS's front server blocks us (status {status}, a page Access Denied): too many requests,"
        " or a User-Agent without a contact; set custom_params.user_agent",
        status=status,
        retry_after_s=BLOCKED_RETRY_S,
    )


def _kind_of(status: int) -> type[FetchError]:
    if status >= _SERVER_ERROR:
        return SourceUnavailable
    return SourceRejected if status >= _CLIENT_ERROR else AnswerRefused
