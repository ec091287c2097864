"""Whom to ask next, and since when: a queue of stations and zones that turns poll by poll.

Pure.  A poll asks the first of the queue and puts each back at its end: answered, with the hour
of this poll; failed, with the older hour that it had, so nothing of it is missed.  So every one
has its turn once a pass whatever fails.  The queue is the cursor; it is written run by run, as
neighbours mostly have the same hour (`[[493245,"KSAC KSCK"],…]`), and travels with every Kafka
transaction, so it has to stay small.  Hours since the epoch, UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple
from zlib import crc32

import msgspec

HOUR_S = 3600
DAY_H = 24
OVERLAP_H = 3
"""Observations come up to 20 minutes late and are revised for hours."""
KEPT_H = 7 * DAY_H
"""How far back the API goes."""

ZONE_MARK = "zone/"

_NAME = re.compile(r"(zone/)?[A-Za-z0-9_-]{2,24}")


class Target(NamedTuple):
    """A station, or with ZONE_MARK a zone, and the hour of the last poll that it answered."""

    name: str
    asked_h: int


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one poll leaves for the next."""

    queue: tuple[tuple[int, str], ...] = ()
    state: str = ""
    """Whose stations the queue has."""
    listed_day: int = 0
    """When that list was read."""

    @property
    def targets(self) -> list[Target]:
        """The queue, one by one."""
        return [
            Target(name, asked_h)
            for asked_h, names in self.queue
            for name in names.split(" ")
            if _NAME.fullmatch(name)
        ]


@dataclass(frozen=True, slots=True)
class Since:
    """From which hour on to ask one target."""

    start_h: int
    is_cut: bool
    """There is more in between than the API keeps."""


def encode(queue: Sequence[Target], state: str, listed_day: int) -> bytes:
    """The cursor as it is stored."""
    runs = tuple(
        (asked_h, " ".join(target.name for target in run))
        for asked_h, run in groupby(queue, key=lambda target: target.asked_h)
    )
    return msgspec.json.encode(Cursor(runs, state, listed_day))


def decode(cursor: bytes | None) -> Cursor | None:
    """What the last poll left; None where there is nothing that can be read."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def merged(queue: Sequence[Target], wanted: Iterable[str], asked_h: int) -> list[Target]:
    """The queue with exactly those wanted: new ones come first, as if asked at `asked_h`.

    They are mixed: stations of one network, which fail together, should not stand together.
    """
    known = {target.name for target in queue}
    names = dict.fromkeys(wanted)
    new = sorted(names.keys() - known, key=lambda name: (crc32(name.encode()), name))
    return [
        *(Target(name, asked_h) for name in new),
        *(target for target in queue if target.name in names),
    ]


def since(target: Target, now_h: int) -> Since:
    """The start to ask for: some hours before the last answer, at most what the API keeps.

    An hour in the future says nothing (a clock was wrong): then all that the API has.
    """
    oldest_h = now_h - KEPT_H
    if target.asked_h > now_h + 1:
        return Since(oldest_h, is_cut=False)
    return Since(max(target.asked_h - OVERLAP_H, oldest_h), is_cut=target.asked_h < oldest_h)
