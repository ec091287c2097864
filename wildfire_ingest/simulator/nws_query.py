"""What a query of the NWS API asks for, and the words in which a wrong one is refused.

Unknown parameters are refused as the API does; so are those that it knows and this simulator does
not, lest a filter seem to work.  Lists are comma separated, repeated, or numbered (id[0]=).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from wildfire_ingest.simulator import nws_wire

LARGEST_PAGE = 500

ALERT_FILTERS = (
    *("status", "message_type", "event", "area", "zone", "severity", "urgency", "certainty"),
)
_LISTS = frozenset({*ALERT_FILTERS, "id", "state"})
_WORD = re.compile(r"[A-Za-z]{3,12}")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
_SHAPES = {
    "status": _WORD,
    "message_type": _WORD,
    "severity": _WORD,
    "urgency": _WORD,
    "certainty": _WORD,
    "event": re.compile(r"[A-Za-z0-9 ]+"),
    "area": re.compile(r"[A-Z]{2}"),
    "state": re.compile(r"[A-Z]{2}"),
    "zone": re.compile(r"[A-Z]{2}[CZ]\d{3}"),
    "id": re.compile(r"[A-Z0-9]{3,8}"),
    "limit": re.compile(r"[1-9]\d{0,2}"),
    "start": _ISO,
    "end": _ISO,
    "active": re.compile(r"true|false"),
    "require_qc": re.compile(r"true|false"),
    "cursor": re.compile(r"[A-Za-z0-9_=-]{1,400}"),
}


class Refused(Exception):
    """A query that the API does not take; `body` is its problem document."""

    def __init__(self, parameter_errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(parameter_errors)
        errors = [
            {"parameter": f"query.{name}", "message": text} for name, text in parameter_errors
        ]
        self.body = nws_wire.problem(
            "BadRequest", "Bad Request", 400, "Bad Request", parameterErrors=errors
        )


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one request, checked."""

    values: Mapping[str, tuple[str, ...]]

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def one(self, name: str) -> str:
        return (*self.all(name), "")[0]

    def time_s(self, name: str) -> int | None:
        """Seconds since the epoch."""
        text = self.one(name)
        return int(datetime.fromisoformat(text).timestamp()) if text else None

    @property
    def limit(self) -> int:
        return int(self.one("limit") or LARGEST_PAGE)

    @property
    def cursor(self) -> str:
        """The last key of the page before; empty on the first page."""
        return _cursor(self.one("cursor")) or ""

    def with_cursor(self, key: str) -> str:
        """The query of the next page."""
        pairs = [
            (name, value)
            for name, values in self.values.items()
            if name != "cursor"
            for value in values
        ]
        document = msgspec.json.encode({"s": key})
        return urlencode([*pairs, ("cursor", base64.urlsafe_b64encode(document).decode())])


def read(text: str, known: Sequence[str]) -> Query:
    """The query of a URL.  Raises Refused."""
    values: dict[str, list[str]] = {}
    errors = []
    for raw_name, value in parse_qsl(text, keep_blank_values=True):
        name = re.sub(r"\[\d*\]$", "", raw_name)
        if name not in known:
            errors.append((name, f'Query parameter "{name}" is not recognized'))
            continue
        parts = value.split(",") if name in _LISTS else [value]
        values.setdefault(name, []).extend(parts)
        errors += [(name, f'Does not match: "{part}"') for part in parts if not _fits(name, part)]
    if errors:
        raise Refused(errors)
    return Query({name: tuple(parts) for name, parts in values.items()})


def _fits(name: str, text: str) -> bool:
    if not _SHAPES[name].fullmatch(text):
        return False
    if name == "limit":
        return int(text) <= LARGEST_PAGE
    if name == "cursor":
        return _cursor(text) is not None
    return name not in {"start", "end"} or _is_time(text)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _cursor(text: str) -> str | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=dict[str, str]).get("s")
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        return None if text else ""


class Row(NamedTuple):
    """One feature of a list; keys descend from page to page."""

    key: str
    feature: bytes


def page(rows: Sequence[Row], query: Query) -> tuple[list[Row], str]:
    """The rows of one page, and the key behind which the next begins.

    A list of rows that grows at its head while somebody walks it neither repeats nor skips one.
    """
    cursor = query.cursor
    found = [row for row in rows if not cursor or row.key < cursor][: query.limit]
    return found, found[-1].key if found else cursor
