"""What a P-VTEC string says: which office's which event, what happens to it, from when until when.

Pure, and total: any text is a Vtec or None.  Times are UTC.  `000000T0000Z` is no time: the event
has begun already, or ends at a time that nobody knows yet ("until further notice").
Source: NWS Instruction 10-1703, https://www.weather.gov/vtec/.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from wildfire_ingest.sources.utc_time import Moment, shown

_MAX_CHARS = 100
"""A P-VTEC has 48."""
_FORM = re.compile(
    r"/(?P<product>[A-Z])\.(?P<action>[A-Z]{3})\.(?P<office>[A-Z0-9]{4})\.(?P<phenomenon>[A-Z]{2})"
    r"\.(?P<significance>[A-Z])\.(?P<number>[0-9]{4})"
    r"\.(?P<begins>[0-9]{6}T[0-9]{4})Z-(?P<ends>[0-9]{6}T[0-9]{4})Z/"
)
_NO_TIME = "000000T0000"


class Vtec(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One Valid Time Event Code of an alert."""

    text: Annotated[str, Meta(description="As it was sent.")]
    action: Annotated[str, Meta(description="NEW, CON, EXT, EXA, EXB, UPG, CAN, EXP, COR or ROU.")]
    office: Annotated[str, Meta(description="The office that issued it, e.g. KSTO.")]
    phenomenon: Annotated[str, Meta(description="Two letters, e.g. FW fire weather.")]
    significance: Annotated[str, Meta(description="W warning, A watch, Y advisory, S statement …")]
    number: Annotated[int, Meta(description="The event's number in its office and year.")]
    product: Annotated[str, Meta(description="O operational, T test, E or X experimental.")]
    begins: Annotated[Moment | None, Meta(description="Absent: it has begun already.")] = None
    ends: Annotated[Moment | None, Meta(description="Absent: until further notice.")] = None

    @property
    def event(self) -> str:
        """The event within its year: `KSTO.FW.W.0007`."""
        return f"{self.office}.{self.phenomenon}.{self.significance}.{self.number:04d}"


def read_vtec(text: str) -> Vtec | None:
    """One VTEC; None for a text that is none (H-VTEC of rivers, too, is none)."""
    found = _FORM.fullmatch(text.strip()) if len(text) <= _MAX_CHARS else None
    if found is None:
        return None
    try:
        begins, ends = _moment(found["begins"]), _moment(found["ends"])
    except ValueError:
        return None
    return Vtec(
        text=text.strip(),
        action=found["action"],
        office=found["office"],
        phenomenon=found["phenomenon"],
        significance=found["significance"],
        number=int(found["number"]),
        product=found["product"],
        begins=begins,
        ends=ends,
    )


def _moment(text: str) -> Moment | None:
    """`260514T1800`, of this century.  Raises ValueError for a day that is none."""
    if text == _NO_TIME:
        return None
    return shown(datetime.strptime("20" + text, "%Y%m%dT%H%M").replace(tzinfo=UTC))
