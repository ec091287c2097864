"""Times of an API, read strictly and written the one way that every record has: UTC with a Z.

Pure.  A time without an offset could be anybody's; it is refused and never guessed.
Source: RFC 3339.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

FIRST_YEAR, LAST_YEAR = 1970, 2100
"""Nothing that is in force was sent outside of these."""

Moment = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$",
        extra_json_schema={"format": "date-time"},
    ),
]
"""`2026-11-23T18:40:00Z`, with six decimals where the microseconds are not zero."""

_FORM = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


def read_time(text: str) -> datetime | None:
    """The moment, in UTC; None for a text that names none between FIRST_YEAR and LAST_YEAR."""
    if not _FORM.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def shown(moment: datetime) -> Moment:
    """A moment of UTC as text."""
    return moment.replace(tzinfo=None).isoformat() + "Z"


def utc_minute(epoch_s: int) -> str:
    """The full minute at or before it: `2026-11-23T18:40:00Z`."""
    return shown(datetime.fromtimestamp(epoch_s // 60 * 60, UTC))
