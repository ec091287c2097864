"""Where the simulated NWS has stations, zones and offices: seeded, a few western states.

Ids have the shapes of the real ones: airports (KABC), RAWS (four letters and the state's suffix,
ABCDC1) and citizens' stations (D1234).  Coordinates in degrees, elevations in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from string import ascii_uppercase
from typing import Literal

Kind = Literal["airport", "raws", "citizen"]
Units = Literal["wmo", "old", "fahrenheit"]
KINDS: tuple[Kind, ...] = ("airport", "raws", "airport", "raws", "citizen")
"""In this order round the stations."""


@dataclass(frozen=True, slots=True)
class State:
    """One state, as its ids are made."""

    code: str
    fips: str
    raws_suffix: str
    latitude: float
    longitude: float
    office: str
    city: str
    time_zone: str


STATES = {
    state.code: state
    for state in (
        State("CA", "06", "C1", 37.5, -120.5, "STO", "Sacramento", "America/Los_Angeles"),
        State("OR", "41", "O3", 44.0, -121.0, "PQR", "Portland", "America/Los_Angeles"),
        State("WA", "53", "W1", 47.3, -120.5, "SEW", "Seattle", "America/Los_Angeles"),
        State("NV", "32", "N2", 39.5, -117.0, "REV", "Reno", "America/Los_Angeles"),
        State("AZ", "04", "A3", 34.3, -111.7, "FGZ", "Flagstaff", "America/Phoenix"),
        State("ID", "16", "I1", 44.2, -114.5, "BOI", "Boise", "America/Boise"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One station."""

    id: str
    name: str
    kind: Kind
    state: State
    zone_number: int
    latitude: float
    longitude: float
    elevation_m: float
    units: Units
    is_silent: bool
    """Known to the API, but without a single observation."""

    @property
    def zone(self) -> str:
        """Its forecast zone; the fire weather zone has the same id."""
        return zone_id(self.state.code, self.zone_number)

    @property
    def county(self) -> str:
        return f"{self.state.code}C{2 * self.zone_number - 1:03d}"


def zone_id(state: str, number: int) -> str:
    """Forecast and fire weather zones: CAZ003."""
    return f"{state}Z{number:03d}"


def stations(
    seed: int,
    states: tuple[str, ...],
    *,
    count: int,
    silent: int,
    zones_per_state: int,
    old_units_share: float,
) -> tuple[Station, ...]:
    """`count` stations that report, in turn of states and kinds, then `silent` ones."""
    draw = Random(f"{seed}|stations")  # noqa: S311 - simulated data
    made: dict[str, Station] = {}
    while len(made) < count + silent:
        number = len(made)
        state = STATES[states[number % len(states)]]
        station = _station(
            draw,
            state,
            KINDS[number // len(states) % len(KINDS)],
            1 + number // len(states) % zones_per_state,
            units=_units(draw, old_units_share),
            is_silent=number >= count,
        )
        made.setdefault(station.id, station)
    return tuple(made.values())


def _station(
    draw: Random, state: State, kind: Kind, zone_number: int, *, units: Units, is_silent: bool
) -> Station:
    letters = "".join(draw.choices(ascii_uppercase, k=4))
    station_id = {
        "airport": f"K{letters[:3]}",
        "raws": f"{letters}{state.raws_suffix}",
        "citizen": f"D{draw.randint(1000, 9999)}",
    }[kind]
    return Station(
        id=station_id,
        name=f"Simulated {kind} {station_id} in {state.code}",
        kind=kind,
        state=state,
        zone_number=zone_number,
        latitude=round(state.latitude + draw.uniform(-1.8, 1.8), 5),
        longitude=round(state.longitude + draw.uniform(-1.8, 1.8), 5),
        elevation_m=round(draw.uniform(2, 2200), 4),
        units=units,
        is_silent=is_silent,
    )


def _units(draw: Random, old_units_share: float) -> Units:
    """Half of the stations out of the ordinary have the codes of years ago."""
    drawn = draw.random()
    if drawn < old_units_share / 2:
        return "fahrenheit"
    return "old" if drawn < old_units_share else "wmo"
