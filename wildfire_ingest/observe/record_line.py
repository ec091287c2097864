"""How a record reads as one line, whatever its value holds.

Pure.  A value may be anybody's: no line can break in two or steer a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from wildfire_ingest.clock import iso_utc
from wildfire_ingest.observe.printable import printable

SHOWN_CHARS = 160
"""Of the fields in a human's line."""
_HEAD = ("observed_at", "type", "source_id")
_UNSAID = frozenset({*_HEAD, "id", "schema_version", "ingested_at", "revision"})
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# Any: what a JSON document of others holds.
Document = Mapping[str, Any]


def document_of(value: bytes | None) -> Document | None:
    """The value's JSON object; None where it is none."""
    try:
        found = msgspec.json.decode(value or b"null")
    except _BROKEN:
        return None
    return found if isinstance(found, dict) else None


def human_line(value: bytes | None, written_ms: int) -> str:
    """Time, type, source and the first fields; of a foreign value its first characters."""
    document = document_of(value)
    if document is None:
        text = (
            "(no value)" if value is None else value[: 4 * SHOWN_CHARS].decode("utf-8", "replace")
        )
        return f"{_written(written_ms)}  {_short(text)}"
    head = [_plain(document.get(name)) or "-" for name in _HEAD]
    if not document.get("observed_at"):
        head[0] = _written(written_ms)
    revision = document.get("revision")
    rest = [f"revision={_plain(revision)}"] if revision else []
    rest += [f"{name}={_plain(field)}" for name, field in document.items() if _is_said(name, field)]
    return f"{'  '.join(map(_short, head))}  {_short(' '.join(rest))}"


def json_line(value: bytes | None) -> str:
    """The value as it is, where that is one line of JSON; else the same JSON, or a JSON string."""
    if value is None:
        return "null"
    try:
        msgspec.json.decode(value)
        text = value.decode()
        if not text.isprintable():
            text = msgspec.json.format(value, indent=-1).decode()
    except _BROKEN:
        text = msgspec.json.encode(value.decode("utf-8", "replace")).decode()
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def field_line(document: Document | None, names: Sequence[str]) -> str:
    """The named fields (`a.b` for a nested one), tabs between; empty where there is none."""
    return "\t".join(_plain(_found(document, name.split("."))) for name in names)


def key_line(key: bytes | str | None) -> str:
    """A record's key."""
    return printable(key.decode("utf-8", "replace") if isinstance(key, bytes) else key or "")


def _found(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _is_said(name: str, field: Any) -> bool:
    return name not in _UNSAID and not isinstance(field, dict | list) and field is not None


def _plain(field: Any) -> str:
    if field is None:
        return ""
    return printable(field if isinstance(field, str) else msgspec.json.encode(field).decode())


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"


def _written(written_ms: int) -> str:
    try:
        return iso_utc(written_ms * 1000)
    except (OverflowError, ValueError, OSError):
        return "-"


def _escaped(character: str) -> str:
    """As JSON writes it: in four digits, beyond U+FFFF as two of these."""
    pairs = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[i]:02x}{pairs[i + 1]:02x}" for i in range(0, len(pairs), 2))
