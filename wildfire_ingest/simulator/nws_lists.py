"""Which features a request selects, and in what order: the latest first, by descending keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wildfire_ingest.simulator import nws_wire
from wildfire_ingest.simulator.nws_events import Alert, NwsEvents
from wildfire_ingest.simulator.nws_injected import Injected
from wildfire_ingest.simulator.nws_places import Station
from wildfire_ingest.simulator.nws_query import Query, Row
from wildfire_ingest.simulator.nws_world import NwsWorld, Observation

_WORDS: dict[str, Callable[[Alert], str]] = {
    "status": lambda _: "actual",
    "message_type": lambda alert: alert.message_type.lower(),
    "event": lambda alert: alert.hazard.event.lower(),
    "severity": lambda alert: alert.severity.lower(),
    "urgency": lambda alert: nws_wire.urgency(alert).lower(),
    "certainty": lambda alert: alert.hazard.certainty.lower(),
}
"""Filters of alerts that compare one word, in any case of letters."""


class NwsLists:
    """The lists of one simulated API at any moment."""

    def __init__(self, world: NwsWorld, events: NwsEvents, injected: Injected) -> None:
        self._world = world
        self._events = events
        self._injected = injected

    def active(self, query: Query, now_s: int) -> list[Row]:
        """/alerts/active; a few stand twice, as they do in reality."""
        found = [*self._injected.active(now_s), *self._events.active(now_s)]
        chosen = [alert for alert in found if is_chosen(alert, query)]
        return _alert_rows([*chosen, *(alert for alert in chosen if alert.is_doubled)])

    def kept(self, query: Query, now_s: int) -> list[Row]:
        """/alerts: also what is no longer in force."""
        if query.one("active") == "true":
            return self.active(query, now_s)
        first_s, last_s = query.time_s("start"), query.time_s("end")
        return _alert_rows(
            alert
            for alert in [*self._injected.kept(now_s), *self._events.kept(now_s)]
            if _is_between(alert.sent_s, first_s, last_s) and is_chosen(alert, query)
        )

    def alert(self, alert_id: str, now_s: int) -> Alert | None:
        """One message that is still kept or in force."""
        found = (
            *(*self._injected.kept(now_s), *self._injected.active(now_s)),
            *(*self._events.kept(now_s), *self._events.active(now_s)),
        )
        return next((alert for alert in found if alert.id == alert_id), None)

    def stations(self, query: Query) -> list[Row]:
        """/stations, in their own order."""
        states, ids = query.all("state"), query.all("id")
        stations = self._world.stations
        return [
            Row(f"{len(stations) - number:05d}", nws_wire.station_feature(station))
            for number, station in enumerate(stations)
            if (not states or station.state.code in states) and (not ids or station.id in ids)
        ]

    def observations(self, stations: Iterable[Station], query: Query, now_s: int) -> list[Row]:
        """Those of some stations, between `start` and `end`."""
        first_s, last_s = query.time_s("start"), query.time_s("end")
        rows = (
            _observation_row(one)
            for station in stations
            for one in self.of_station(station, now_s)
            if _is_between(one.at_s, first_s, last_s)
        )
        return sorted(rows, reverse=True)

    def of_station(self, station: Station, now_s: int) -> list[Observation]:
        """All of one station; what was put in stands for what the world has at that time."""
        by_time = {one.at_s: one for one in self._world.served(station, now_s)}
        by_time.update({one.at_s: one for one in self._injected.observations(station, now_s)})
        return [by_time[at_s] for at_s in sorted(by_time)]


def is_chosen(alert: Alert, query: Query) -> bool:
    """Whether an alert passes every filter of a query."""
    places = [*query.all("area"), *query.all("zone")]
    if places and not any(alert.is_in(place) for place in places):
        return False
    return all(
        word(alert) in {value.lower() for value in query.all(name)}
        for name, word in _WORDS.items()
        if query.all(name)
    )


def _alert_rows(alerts: Iterable[Alert]) -> list[Row]:
    rows = (
        Row(f"{nws_wire.iso(alert.sent_s)}|{alert.id}", nws_wire.alert_feature(alert))
        for alert in alerts
    )
    return sorted(rows, reverse=True)


def _observation_row(observation: Observation) -> Row:
    key = f"{nws_wire.iso(observation.at_s)}|{observation.station.id}"
    return Row(key, nws_wire.observation_feature(observation))


def _is_between(at_s: int, first_s: int | None, last_s: int | None) -> bool:
    return (first_s is None or at_s >= first_s) and (last_s is None or at_s <= last_s)
