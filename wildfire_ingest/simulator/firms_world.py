"""Where it burns and when a satellite has seen it: a seeded world of moving fires.

Everything is a function of the seed and the time, so two worlds of one seed agree and nothing has
to be kept but a cache.  A granule is what one satellite scans in `granule_s`; it is published
after a while as URT, replaced later by NRT rows that lie some metres and minutes off (both are
served for a moment), or it comes late and is NRT from the start.  Times are seconds since the
epoch, UTC; the real delays (URT < 60 s, NRT 2-3 h) are shortened so that a short run shows them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Literal

DAY_S = 86_400

Satellite = Literal["N", "N20", "N21", "Terra", "Aqua"]
SATELLITES: tuple[Satellite, ...] = ("N", "N20", "N21", "Terra", "Aqua")
ORBIT_S = 6_000
DEGREES_PER_M = 1 / 111_000

_PLACES = (
    *((39.8, -121.4), (37.7, -119.6), (34.3, -118.2), (44.1, -121.8), (47.9, -120.4)),
    *((54.2, -122.6), (31.9, -110.7), (-9.3, -63.1), (-16.8, -55.4), (8.4, 17.2)),
    *((-11.7, 24.9), (62.5, 129.7), (20.9, 85.1), (-14.2, 133.6), (38.4, 22.9)),
)
"""Regions with fires; the first seven lie in western North America."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """How much burns, and how late it is told."""

    seed: int = 1
    rows_per_minute: float = 300.0
    """New detections a minute, of all five satellites together (5 a second)."""
    fires: int = 60
    history_s: int = 600
    """How long before the start it has burnt: what the first poll brings."""
    keep_s: int = 2 * DAY_S
    """Older granules are gone from every answer."""
    granule_s: int = 60
    publish_after_s: tuple[int, int] = (5, 40)
    late_share: float = 0.1
    late_after_s: tuple[int, int] = (120, 300)
    reprocess_after_s: tuple[int, int] = (240, 480)
    overlap_s: int = 30
    """So long a replaced row and its successor are served together."""
    revised_share: float = 0.0
    """Rows whose values change under the same key, and change back later."""
    revise_after_s: int = 60


@dataclass(frozen=True, slots=True)
class Pixel:
    """One detection as it is served."""

    acquired_s: int
    latitude: float
    longitude: float
    bright_k: float
    bright2_k: float
    scan_km: float
    track_km: float
    frp_mw: float
    confidence: str
    """VIIRS: low, nominal, high; MODIS: 0..100."""
    version: str
    daynight: str
    is_revised: bool


@dataclass(frozen=True, slots=True)
class Granule:
    """What one satellite scanned, and when which version of it is served."""

    first: tuple[Pixel, ...]
    """URT; empty where the granule comes late."""
    final: tuple[Pixel, ...]
    published_s: int
    final_s: int
    withdrawn_s: int

    def served(self, now_s: int, revise_after_s: int) -> Iterator[Pixel]:
        """The rows that an answer at this moment holds."""
        if self.published_s <= now_s < self.withdrawn_s:
            yield from self.first
        if now_s >= self.final_s:
            age_s = now_s - self.final_s
            changed = revise_after_s <= age_s < 2 * revise_after_s
            for pixel in self.final:
                yield _revised(pixel) if changed and pixel.is_revised else pixel

    def changes_s(self, revise_after_s: int) -> tuple[int, ...]:
        """When an answer changes because of this granule."""
        revisions = (self.final_s + revise_after_s, self.final_s + 2 * revise_after_s)
        has_revisions = any(pixel.is_revised for pixel in self.final)
        steps = (self.published_s, self.final_s, self.withdrawn_s)
        return steps + revisions if has_revisions else steps


class FirmsWorld:
    """The rows of every satellite at every moment from `start_s` on."""

    def __init__(self, settings: WorldSettings, start_s: int) -> None:
        self._settings = settings
        self._begins_s = start_s - settings.history_s
        self._fires = _fires(settings)
        self._granule = lru_cache(maxsize=4096)(self._scan)

    def granules(self, satellite: Satellite, now_s: int) -> Iterator[Granule]:
        """Granules of which something may have been published, oldest first."""
        step = self._settings.granule_s
        begins_s = max(self._begins_s, now_s - self._settings.keep_s)
        for index in range(-(-begins_s // step), now_s // step):
            yield self._granule(satellite, index)

    def served(self, satellite: Satellite, now_s: int) -> list[Pixel]:
        """All rows of one satellite that are served now, by time and latitude."""
        pixels = [
            pixel
            for granule in self.granules(satellite, now_s)
            for pixel in granule.served(now_s, self._settings.revise_after_s)
        ]
        return sorted(pixels, key=lambda pixel: (pixel.acquired_s, pixel.latitude))

    def changed_s(self, satellite: Satellite, now_s: int) -> int:
        """When the rows of one satellite changed last."""
        moments = (
            moment
            for granule in self.granules(satellite, now_s)
            for moment in granule.changes_s(self._settings.revise_after_s)
            if moment <= now_s
        )
        return max(moments, default=self._begins_s)

    def _scan(self, satellite: Satellite, index: int) -> Granule:
        world = self._settings
        draw = Random(f"{world.seed}|{satellite}|{index}")  # noqa: S311 - simulated data
        at_s = index * world.granule_s
        pixels = self._pixels(draw, satellite, at_s, self._count(index))
        ends_s = at_s + world.granule_s
        if draw.random() < world.late_share:
            late_s = ends_s + draw.randint(*world.late_after_s)
            return Granule((), tuple(pixels), late_s, late_s, late_s)
        published_s = ends_s + draw.randint(*world.publish_after_s)
        final_s = max(ends_s + draw.randint(*world.reprocess_after_s), published_s)
        return Granule(
            first=tuple(_urt(pixel) for pixel in pixels),
            final=tuple(_moved(draw, pixel) for pixel in pixels),
            published_s=published_s,
            final_s=final_s,
            withdrawn_s=final_s + world.overlap_s,
        )

    def _count(self, index: int) -> int:
        """Rows of one granule: whole numbers that add up to the rate."""
        per_granule = (
            self._settings.rows_per_minute * self._settings.granule_s / 60 / len(SATELLITES)
        )
        return math.floor((index + 1) * per_granule) - math.floor(index * per_granule)

    def _pixels(self, draw: Random, satellite: Satellite, at_s: int, count: int) -> list[Pixel]:
        track = (360.0 * at_s / ORBIT_S + 72.0 * SATELLITES.index(satellite)) % 360.0
        fires = sorted(self._fires, key=lambda fire: abs((fire.longitude - track) % 360 - 180))
        seen = fires[: max(1, len(fires) // 3)]
        pixels: dict[tuple[float, float], Pixel] = {}
        while len(pixels) < count:
            pixel = draw.choice(seen).pixel(draw, satellite, at_s, self._settings.revised_share)
            pixels[pixel.latitude, pixel.longitude] = pixel
        return list(pixels.values())


@dataclass(frozen=True, slots=True)
class _Fire:
    latitude: float
    longitude: float
    wander_deg: float
    period_s: float
    power_mw: float

    def pixel(self, draw: Random, satellite: Satellite, at_s: int, revised_share: float) -> Pixel:
        """One pixel near the fire's front, which goes round in some days."""
        turn = math.tau * (at_s % self.period_s) / self.period_s
        latitude = self.latitude + self.wander_deg * math.sin(turn) + draw.gauss(0, 0.01)
        longitude = self.longitude + self.wander_deg * math.cos(turn) + draw.gauss(0, 0.01)
        is_modis = satellite in {"Terra", "Aqua"}
        frp_mw = round(draw.expovariate(1 / self.power_mw), 2)
        solar_hour = (at_s % DAY_S / 3600 + longitude / 15) % 24
        return Pixel(
            acquired_s=at_s // 60 * 60,
            latitude=round(latitude, 5),
            longitude=round(longitude, 5),
            bright_k=min(500.0 if is_modis else 367.0, round(305 + draw.expovariate(1 / 18), 2)),
            bright2_k=round(draw.uniform(268, 312), 2),
            scan_km=round(draw.uniform(1.0, 4.8) if is_modis else draw.uniform(0.32, 0.8), 2),
            track_km=round(draw.uniform(1.0, 2.0) if is_modis else draw.uniform(0.36, 0.78), 2),
            frp_mw=frp_mw,
            confidence=_confidence(draw, is_modis=is_modis),
            version="6.1NRT" if is_modis else "2.0NRT",
            daynight="D" if 6 <= solar_hour < 18 else "N",  # noqa: PLR2004 - hours
            is_revised=draw.random() < revised_share,
        )


def _fires(settings: WorldSettings) -> list[_Fire]:
    draw = Random(f"{settings.seed}|fires")  # noqa: S311 - simulated data
    return [
        _Fire(
            latitude=_PLACES[number % len(_PLACES)][0] + draw.gauss(0, 0.8),
            longitude=_PLACES[number % len(_PLACES)][1] + draw.gauss(0, 0.8),
            wander_deg=draw.uniform(0.02, 0.2),
            period_s=draw.uniform(1, 5) * DAY_S,
            power_mw=draw.uniform(2, 40),
        )
        for number in range(settings.fires)
    ]


def _confidence(draw: Random, *, is_modis: bool) -> str:
    if is_modis:
        return str(draw.choice((0, 29, 30, 79, 80, 100, *range(101))))
    return draw.choices(("low", "nominal", "high"), weights=(8, 82, 10))[0]


def _urt(pixel: Pixel) -> Pixel:
    """Ultra real time: MODIS has a placeholder for its confidence."""
    version = pixel.version.replace("NRT", "URT")
    confidence = "95" if pixel.confidence.isdecimal() else pixel.confidence
    return replace(pixel, version=version, confidence=confidence, is_revised=False)


def _moved(draw: Random, pixel: Pixel) -> Pixel:
    """The successor of a URT row: about 23 m and up to 2 minutes off; a row of its own."""
    shift_m = draw.uniform(2, 40)
    angle = draw.uniform(0, math.tau)
    frp_mw = pixel.frp_mw if draw.random() < 0.45 else round(pixel.frp_mw * 1.07, 2)  # noqa: PLR2004 - measured share
    return replace(
        pixel,
        acquired_s=pixel.acquired_s + 60 * draw.choice((-2, -1, 0, 1, 2)),
        latitude=round(pixel.latitude + shift_m * DEGREES_PER_M * math.sin(angle), 5),
        longitude=round(pixel.longitude + shift_m * DEGREES_PER_M * math.cos(angle), 5),
        frp_mw=frp_mw,
    )


def _revised(pixel: Pixel) -> Pixel:
    """The same row with another power."""
    return replace(pixel, frp_mw=round(pixel.frp_mw + 0.5, 2))
