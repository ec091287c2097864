"""What a source needs to know; built by config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wildfire_ingest.exchange import Secret

Feed = Literal["api", "static"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmsSettings:
    """One FIRMS product over one area."""

    source_id: str
    product: str = "VIIRS_SNPP_NRT"
    area: str = "world"
    """`world`, or `west,south,east,north` in degrees; the API's area, unused by static files."""
    day_range: int = 1
    """The least number of UTC days to ask for, 1..5; more are asked for when needed."""
    map_key: Secret | None = None
    """Needed by the API, not by the static files."""
    feed: Feed = "api"
    static_span: str = "24h"
    """24h, 48h or 7d."""
    static_region: str = "Global"
    """As in the file's name: Global, USA_contiguous_and_Hawaii, Canada, South_America …"""
    window_s: int | None = None
    """None: longer than the span that the feed serves."""
