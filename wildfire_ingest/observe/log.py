"""Engine events as log records: the message is the event's name and its fields, nothing else.

`Published source_id=firms records=120 duration_s=0.018`.  The fields are also in the record's
`fields`, for a handler that writes JSON.  Values cannot forge a line: controls are escaped.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import fields
from enum import Enum

from wildfire_ingest.engine.events import (
    DeadLettered,
    Degraded,
    DeliveryFailed,
    Event,
    Evicted,
    PollFailed,
)
from wildfire_ingest.intake.ledger import Ledger

LOG = logging.getLogger("wildfire_ingest.events")
WARNINGS = (PollFailed, DeliveryFailed, DeadLettered, Evicted, Degraded)
"""What a person should look at."""

_BARE = re.compile(r"[\w.:/+,-]+", re.ASCII)
Value = str | int | float | bool | None


class EventLog:
    """An observer that logs."""

    def __init__(self, log: logging.Logger = LOG) -> None:
        self._log = log

    def emit(self, event: Event) -> None:
        """Log one event."""
        level = logging.WARNING if isinstance(event, WARNINGS) else logging.INFO
        if self._log.isEnabledFor(level):
            found = event_fields(event)
            name = type(event).__name__
            self._log.log(level, "%s", line(name, found), extra={"event": name, "fields": found})


def event_fields(event: Event) -> dict[str, Value]:
    """An event's fields, flat; those that say nothing are left out."""
    found: dict[str, Value] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Ledger):
            found |= {name: n for name, n in value.as_dict().items() if n}
        elif value is not None and value != ():
            found[field.name] = _plain(value)
    return found


def line(name: str, found: dict[str, Value]) -> str:
    """`Name key=value key="two words"`."""
    return " ".join([name, *(f"{key}={_shown(value)}" for key, value in found.items())])


def _plain(value: object) -> Value:
    if isinstance(value, tuple):
        return ",".join(str(_plain(one)) for one in value)
    if isinstance(value, Enum):
        return value.name
    return value if isinstance(value, str | int | float | bool) else str(value)


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in quoted
    )
