"""What a FIRMS body that is no CSV means: a bad key, a spent quota, a page of somebody else.

Pure.  FIRMS answers errors as one line of plain text, with status 400 or 200 alike, and several
may be joined on lines.  Source: the API's own answers, 2025-2026.
"""

from __future__ import annotations

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable

QUOTA_RETRY_S = 180.0
"""The quota counts the last 10 minutes; asking again within a minute only spends more of it."""

_EXAMINED = 2048
_SAMPLE = 200

_SPENT = ("exceeded", "transaction limit", "try again later")
_PERMANENT = {
    "invalid map_key": "FIRMS refuses the MAP_KEY; check the environment variable that holds it"
    " (a key is free: https://firms.modaps.eosdis.nasa.gov/api/map_key/)",
    "invalid day range": "FIRMS refuses day_range; expected 1..5",
    "invalid area": "FIRMS refuses area; expected world or west,south,east,north within"
    " -180..180 and -90..90",
    "invalid source": "FIRMS refuses product; expected one of its source names,"
    " e.g. VIIRS_SNPP_NRT",
    "invalid api call": "FIRMS does not know this request; check base_url, product and area",
}


def named_error(text: str) -> FetchError | None:
    """The error that one of FIRMS' own texts means; None for a text that is not one of them."""
    found = text[:_EXAMINED].lower()
    if any(words in found for words in _SPENT):
        return SourceUnavailable(
            "FIRMS says that the MAP_KEY's quota (5,000 units in 10 minutes) is spent",
            retry_after_s=QUOTA_RETRY_S,
        )
    for words, meaning in _PERMANENT.items():
        if words in found:
            return SourceRejected(meaning)
    return None


def refusal(body: bytes) -> FetchError:
    """Why a body that does not begin with a FIRMS header is no answer."""
    start = body[:_EXAMINED].decode("utf-8", "backslashreplace").lstrip("\ufeff \t\r\n\0")
    sample = start[:_SAMPLE]
    if not start:
        return AnswerRefused("FIRMS answered with an empty body; expected at least a header line")
    if start.startswith("<"):
        return AnswerRefused("expected a FIRMS CSV, found an HTML or XML page", sample=sample)
    if start.startswith(("{", "[")):
        return AnswerRefused("expected a FIRMS CSV, found JSON", sample=sample)
    return named_error(start) or AnswerRefused(
        "expected a FIRMS CSV that begins with latitude, or country_id, and found another text",
        sample=sample,
    )
