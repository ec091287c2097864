"""What every station measures and when it is told: a seeded weather, a function of the time.

An observation is published some seconds after it was made, a few much later; some come again
under the same time with other content (a null filled in, a quality flag upgraded, a value
changed).  Seconds since the epoch, UTC.  Readings in degC, km/h, degrees, Pa, m, mm and percent;
the wire has them in the station's own units.  The real delays (hourly, up to 20 minutes) are
shortened so that a short run shows them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Literal

from wildfire_ingest.simulator import nws_places
from wildfire_ingest.simulator.nws_places import Station

DAY_S = 86_400

Revision = Literal["filled", "upgraded", "changed"]
REVISIONS: tuple[Revision, ...] = ("filled", "upgraded", "changed")
REVISED = {"temperature": 1.5, "windSpeed": 7.2, "relativeHumidity": 6.0}
"""Quantities that every station has, and by how much a revision changes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NwsWorldSettings:
    """How many stations and alerts there are, and how late they are told."""

    seed: int = 1
    states: tuple[str, ...] = ("CA", "OR", "NV")
    stations: int = 24
    silent_stations: int = 1
    """Beyond `stations`: known, but without data."""
    zones_per_state: int = 4
    interval_s: int = 30
    """Between two observations of one station."""
    history_s: int = 600
    """How long before the start the world has existed."""
    keep_s: int = 3600
    """Older observations and alerts are gone from every answer."""
    publish_after_s: tuple[int, int] = (2, 15)
    late_share: float = 0.05
    late_after_s: tuple[int, int] = (60, 240)
    revised_share: float = 0.1
    """Rows that come again with other content."""
    revise_after_s: int = 30
    null_share: float = 0.05
    """Of any reading; gusts, ceilings and rain are missing more often."""
    old_units_share: float = 0.1
    """Stations with the codes of years ago (unit:m_s-1, qc:V) or with Fahrenheit."""
    unsorted_share: float = 0.05
    """Answers with observations that are not newest first."""
    events_per_minute: float = 6.0
    """New hazards a minute; each is an alert with its updates and, perhaps, a cancellation."""
    life_s: tuple[int, int] = (60, 420)
    """From an event's first alert to its announced end."""
    update_share: float = 0.6
    update_after_s: tuple[int, int] = (10, 60)
    cancel_share: float = 0.3
    cancel_shown_s: int = 60
    polygon_share: float = 0.1
    """Alerts with a geometry of their own; the others have zones only."""
    duplicate_share: float = 0.01
    """Alerts that stand twice in one answer."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.states) - set(nws_places.STATES))
        if unknown or not self.states:
            known = ", ".join(nws_places.STATES)
            raise ValueError(f"states: found {list(self.states)}; expected some of {known}")


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity; `flag` None where it stands without a quality flag."""

    value: float | None
    flag: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a station says about one moment, as it is served at another."""

    station: Station
    at_s: int
    readings: Mapping[str, Reading]


@dataclass(frozen=True, slots=True)
class _Told:
    """One observation through its life."""

    first: Observation
    final: Observation
    published_s: int
    revised_s: int

    def at(self, now_s: int) -> Observation | None:
        if now_s < self.published_s:
            return None
        return self.final if now_s >= self.revised_s else self.first


class NwsWorld:
    """The observations of every station at every moment from `start_s - history_s` on."""

    def __init__(self, settings: NwsWorldSettings, start_s: int) -> None:
        self._settings = settings
        self._begins_s = start_s - settings.history_s
        self.stations = nws_places.stations(
            settings.seed,
            settings.states,
            count=settings.stations,
            silent=settings.silent_stations,
            zones_per_state=settings.zones_per_state,
            old_units_share=settings.old_units_share,
        )
        self._by_id = {station.id: station for station in self.stations}
        self._told = lru_cache(maxsize=16_384)(self._observe)

    def station(self, station_id: str) -> Station | None:
        return self._by_id.get(station_id)

    def in_zone(self, zone: str) -> list[Station]:
        """The stations of a forecast zone."""
        return [station for station in self.stations if station.zone == zone]

    def served(self, station: Station, now_s: int) -> Iterator[Observation]:
        """All observations of one station that are served now, oldest first."""
        if station.is_silent:
            return
        step = self._settings.interval_s
        phase_s = self._phase_s(station)
        begins_s = max(self._begins_s, now_s - self._settings.keep_s)
        for index in range(-(-(begins_s - phase_s) // step), (now_s - phase_s) // step + 1):
            observation = self._told(station, index).at(now_s)
            if observation is not None:
                yield observation

    def _phase_s(self, station: Station) -> int:
        """Stations report one after the other, not all at once."""
        return self.stations.index(station) * self._settings.interval_s // len(self.stations)

    def _observe(self, station: Station, index: int) -> _Told:
        world = self._settings
        draw = Random(f"{world.seed}|{station.id}|{index}")  # noqa: S311 - simulated data
        at_s = index * world.interval_s + self._phase_s(station)
        readings = measured(draw, station, at_s, world.null_share)
        late = draw.random() < world.late_share
        published_s = at_s + draw.randint(*(world.late_after_s if late else world.publish_after_s))
        if draw.random() >= world.revised_share:
            only = Observation(station, at_s, readings)
            return _Told(only, only, published_s, published_s)
        name = draw.choice(tuple(REVISED))
        value = readings[name].value
        settled = Reading(12.0 if value is None else value, "V")
        before = before_revision(name, settled, draw.choice(REVISIONS))
        return _Told(
            first=Observation(station, at_s, {**readings, name: before}),
            final=Observation(station, at_s, {**readings, name: settled}),
            published_s=published_s,
            revised_s=published_s + world.revise_after_s,
        )


def before_revision(name: str, settled: Reading, revision: Revision) -> Reading:
    """The reading that a revision will replace by `settled`; never the same."""
    if revision == "filled" or settled.value is None:
        return Reading(None, "Z")
    if revision == "upgraded":
        return replace(settled, flag="Z")
    step = REVISED[name]
    is_high = settled.value > 2 * step
    return replace(settled, value=round(settled.value + (-step if is_high else step), 4))


def measured(draw: Random, station: Station, at_s: int, null_share: float) -> Mapping[str, Reading]:
    """One look at the instruments; which there are depends on the kind of station."""
    values = _weather(draw, station, at_s)
    return {name: _reading(draw, name, value, null_share) for name, value in values.items()}


def _weather(draw: Random, station: Station, at_s: int) -> dict[str, float | None]:
    solar_hour = (at_s % DAY_S / 3600 + station.longitude / 15) % 24
    warmth = math.sin(math.tau * (solar_hour - 9) / 24)
    temperature = 20 + 11 * warmth - 0.0065 * station.elevation_m + draw.gauss(0, 1)
    dewpoint = temperature - draw.uniform(3, 24)
    wind = draw.expovariate(1 / 14)
    rain = draw.expovariate(1 / 2) if draw.random() < 0.08 else None  # noqa: PLR2004 - dry country
    pressure = 101_325 + draw.gauss(0, 600)
    is_airport = station.kind == "airport"
    weather: dict[str, float | None] = {
        "temperature": round(temperature, 2),
        "dewpoint": round(dewpoint, 2),
        "windDirection": float(draw.randrange(0, 360, 10)),
        "windSpeed": round(wind, 3),
        "windGust": round(wind * 1.6, 3) if wind > 18 else None,  # noqa: PLR2004 - km/h
        "barometricPressure": None if station.kind == "raws" else float(round(pressure, -1)),
        "seaLevelPressure": float(round(pressure - 20, -1)) if is_airport else None,
        "visibility": float(draw.choice((16_090, 16_090, 11_270, 4_830))) if is_airport else None,
        "maxTemperatureLast24Hours": None,
        "minTemperatureLast24Hours": None,
        "precipitationLastHour": rain,
        "precipitationLast3Hours": None if rain is None else 2 * rain,
        "precipitationLast6Hours": None if rain is None else 3 * rain,
        "relativeHumidity": humidity_percent(temperature, dewpoint),
        "windChill": None,
        "heatIndex": None,
    }
    if not is_airport:  # a shorter record: some keys are not there at all
        del weather["precipitationLastHour"], weather["precipitationLast6Hours"]
    return weather


def humidity_percent(temperature: float, dewpoint: float) -> float:
    """Magnus' formula; both in degC."""
    pressure = [math.exp(17.625 * degc / (243.04 + degc)) for degc in (dewpoint, temperature)]
    return 100 * pressure[0] / pressure[1]


def _reading(draw: Random, name: str, value: float | None, null_share: float) -> Reading:
    if name.endswith("Last24Hours"):
        return Reading(value, None)
    if value is None or draw.random() < null_share:
        return Reading(None, draw.choice(("Z", "Z", "V", "C")))
    if name == "visibility":
        return Reading(value, "C")
    return Reading(value, draw.choices(("V", "S", "C", "Z", "Q", "X"), (80, 8, 6, 4, 1, 1))[0])
