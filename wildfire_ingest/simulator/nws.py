"""The NWS API over a seeded world: stations, observations, alerts, as api.weather.gov says them.

Knows the truth of what it served of each of its two streams (nws_truth), under /_simulator/state.
Times are microseconds since the epoch; `speed` lets the world's time run faster than the clock's.
Source: https://www.weather.gov/documentation/services-web-api.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.simulator import nws_query, nws_wire
from wildfire_ingest.simulator.faults import ACCESS_DENIED
from wildfire_ingest.simulator.nws_events import NwsEvents
from wildfire_ingest.simulator.nws_injected import AlertOrder, Injected, ObservationOrder
from wildfire_ingest.simulator.nws_lists import NwsLists
from wildfire_ingest.simulator.nws_places import STATES, Station, zone_id
from wildfire_ingest.simulator.nws_query import ALERT_FILTERS, Query, Refused, Row
from wildfire_ingest.simulator.nws_truth import NwsTruths, Stream
from wildfire_ingest.simulator.nws_versions import Versions, digest_of, is_known
from wildfire_ingest.simulator.nws_world import NwsWorld, NwsWorldSettings
from wildfire_ingest.simulator.server import Reply

_PAGES = ("limit", "cursor")
_TIMES = ("start", "end")
_Order = TypeVar("_Order")
MAX_AGES_S: dict[str, int] = {"alerts": 30, "observations": 60, "stations": 3600}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, taken apart."""

    url: str
    """Path and query as they came."""
    host: str
    headers: Mapping[str, str]
    query: Query
    now_s: int
    parts: tuple[str, ...]
    """What the path names: a station, a zone, an alert."""


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    parameters: tuple[str, ...]
    answer: Callable[[Ask], Reply]


class NwsSimulator:
    """One NWS server.  `now_us` is the clock of what is put in by POST."""

    def __init__(
        self,
        settings: NwsWorldSettings,
        start_us: int,
        *,
        speed: float = 1.0,
        now_us: Callable[[], int] | None = None,
        has_etags: bool = False,
        asks_contact: bool = True,
    ) -> None:
        start_s = start_us // SECOND_US
        self._settings = settings
        self._world = NwsWorld(settings, start_s)
        self._injected = Injected(settings)
        self._lists = NwsLists(self._world, NwsEvents(settings, start_s), self._injected)
        self._start_us = start_us
        self._speed = speed
        self._now_us = now_us or SystemClock().now_us
        self._has_etags = has_etags
        self._asks_contact = asks_contact
        self._versions = Versions()
        self._truths = NwsTruths()
        self._lock = threading.Lock()
        self._refused = 0
        self._routes = self._all_routes()

    @property
    def stations(self) -> tuple[Station, ...]:
        """The stations of the world; the last ones are silent."""
        return self._world.stations

    def distinct_rows_served(self, stream: Stream) -> int:
        """Distinct observations or alerts of all answers that were sent whole."""
        return self._truths[stream].counts.distinct_rows

    def state(self) -> dict[str, Any]:
        return {**self._truths.state(), "refused": self._refused}

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        if self._asks_contact and not has_contact(headers.get("user-agent", "")):
            return self._refuse(Reply(*ACCESS_DENIED))
        url = urlsplit(path)
        for route in self._routes:
            if found := route.pattern.fullmatch(unquote(url.path)):
                try:
                    query = nws_query.read(url.query, route.parameters)
                except Refused as refused:
                    return self._refuse(_problem(400, refused.body))
                host = headers.get("host", "")
                now_s = self._world_s(now_us)
                return route.answer(Ask(path, host, headers, query, now_s, found.groups()))
        return self._refuse(not_found())

    def control(self, command: str, body: bytes) -> Reply | None:
        """`alert` and `observation` put one in; they answer with the feature that is served."""
        now_s = self._world_s(self._now_us())
        try:
            if command == "alert":
                alert = self._injected.add_alert(_order(body, AlertOrder), now_s)
                return Reply(nws_wire.alert_feature(alert), headers=_json())
            if command == "observation":
                return self._add_observation(_order(body, ObservationOrder), now_s)
        except ValueError as error:  # a msgspec.DecodeError is one
            return Reply(f"{error}\n".encode(), 400)
        return None

    def _add_observation(self, order: ObservationOrder, now_s: int) -> Reply:
        station = self._world.station(order.station)
        if station is None:
            return Reply(f"there is no station {order.station}\n".encode(), 404)
        observation = self._injected.add_observation(station, order, now_s)
        return Reply(nws_wire.observation_feature(observation), headers=_json())

    def _all_routes(self) -> tuple[_Route, ...]:
        filters, times = ALERT_FILTERS, (*_TIMES, *_PAGES)
        table: tuple[tuple[str, tuple[str, ...], Callable[[Ask], Reply]], ...] = (
            ("/alerts/active", filters, self._active),
            ("/alerts/active/(?:area|zone)/([A-Z0-9]+)", (), self._active_in),
            ("/alerts", (*filters, "active", *times), self._alerts),
            ("/alerts/([^/]+)", (), self._alert),
            ("/stations", ("state", "id", *_PAGES), self._stations),
            ("/stations/([^/]+)", (), self._station),
            ("/stations/([^/]+)/observations", times, self._observations),
            ("/stations/([^/]+)/observations/latest", ("require_qc",), self._latest),
            ("/zones/forecast/([^/]+)/stations", (), self._zone_stations),
            ("/zones/forecast/([^/]+)/observations", times, self._zone_observations),
            (r"/points/(-?\d+(?:\.\d{1,4})?),(-?\d+(?:\.\d{1,4})?)", (), self._point),
        )
        return tuple(_Route(re.compile(path), known, call) for path, known, call in table)

    # alerts

    def _active(self, ask: Ask) -> Reply:
        return self._alert_list(ask, self._lists.active(ask.query, ask.now_s))

    def _active_in(self, ask: Ask) -> Reply:
        place = ask.parts[0]
        query = Query({"area" if len(place) == 2 else "zone": (place,)})  # noqa: PLR2004 - CA
        return self._alert_list(ask, self._lists.active(query, ask.now_s))

    def _alerts(self, ask: Ask) -> Reply:
        rows, behind = nws_query.page(self._lists.kept(ask.query, ask.now_s), ask.query)
        return self._alert_list(ask, rows, pagination=_next_page(ask, behind))

    def _alert_list(self, ask: Ask, rows: list[Row], **others: object) -> Reply:
        title = "Current watches, warnings, and advisories"
        features = [row.feature for row in rows]

        def body(changed_s: int) -> bytes:
            updated = nws_wire.iso(changed_s)
            return nws_wire.collection(features, title=title, updated=updated, **others)

        return self._reply(ask, "alerts", digest_of(features), body)

    def _alert(self, ask: Ask) -> Reply:
        alert = self._lists.alert(ask.parts[0], ask.now_s)
        if alert is None:
            return self._refuse(not_found())
        return self._single(ask, "alerts", nws_wire.alert_feature(alert))

    # stations and their observations

    def _stations(self, ask: Ask) -> Reply:
        rows, behind = nws_query.page(self._lists.stations(ask.query), ask.query)
        return self._station_list(ask, rows, pagination=_next_page(ask, behind))

    def _zone_stations(self, ask: Ask) -> Reply:
        found = self._world.in_zone(ask.parts[0])
        if not found and not self._is_zone(ask.parts[0]):
            return self._refuse(not_found())
        rows = [Row("", nws_wire.station_feature(station)) for station in found]
        return self._station_list(ask, rows)

    def _station_list(self, ask: Ask, rows: list[Row], **others: object) -> Reply:
        features = [row.feature for row in rows]

        def body(_: int) -> bytes:
            return nws_wire.collection(features, **others)

        return self._reply(ask, "stations", digest_of(features), body)

    def _station(self, ask: Ask) -> Reply:
        station = self._world.station(ask.parts[0])
        if station is None:
            return self._refuse(no_station(ask.parts[0]))
        return self._single(ask, "stations", nws_wire.station_feature(station))

    def _observations(self, ask: Ask) -> Reply:
        station = self._world.station(ask.parts[0])
        if station is None:
            return self._refuse(no_station(ask.parts[0]))
        return self._observation_list(ask, [station])

    def _zone_observations(self, ask: Ask) -> Reply:
        found = self._world.in_zone(ask.parts[0])
        if not found and not self._is_zone(ask.parts[0]):
            return self._refuse(not_found())
        return self._observation_list(ask, found)

    def _observation_list(self, ask: Ask, stations: list[Station]) -> Reply:
        all_rows = self._lists.observations(stations, ask.query, ask.now_s)
        rows, behind = nws_query.page(all_rows, ask.query)
        features = [row.feature for row in rows]
        digest = digest_of(features)
        if int(digest[:8], 16) < self._settings.unsorted_share * 2**32:
            features.reverse()

        def body(_: int) -> bytes:
            return nws_wire.collection(features, pagination=_next_page(ask, behind))

        return self._reply(ask, "observations", digest, body)

    def _latest(self, ask: Ask) -> Reply:
        station = self._world.station(ask.parts[0])
        if station is None:
            return self._refuse(no_station(ask.parts[0]))
        found = self._lists.of_station(station, ask.now_s)
        if ask.query.one("require_qc") == "true":
            found = [one for one in found if one.readings["temperature"].flag != "Z"]
        if not found:
            return not_found()  # a good answer about a station without data
        return self._single(ask, "observations", nws_wire.observation_feature(found[-1]))

    def _point(self, ask: Ask) -> Reply:
        latitude, longitude = (float(part) for part in ask.parts)
        nearest = min(
            STATES.values(),
            key=lambda state: abs(state.latitude - latitude) + abs(state.longitude - longitude),
        )
        far_deg = abs(nearest.latitude - latitude) + abs(nearest.longitude - longitude)
        if far_deg > 8:  # noqa: PLR2004 - degrees; beyond the simulated states
            return self._refuse(no_point(",".join(ask.parts)))
        return self._single(ask, "stations", nws_wire.point_feature(nearest, latitude, longitude))

    # the frame of every answer

    def _single(self, ask: Ask, kind: str, feature: bytes) -> Reply:
        return self._reply(ask, kind, digest_of([feature]), lambda _: nws_wire.single(feature))

    def _reply(self, ask: Ask, kind: str, digest: str, body_of: Callable[[int], bytes]) -> Reply:
        changed_s = self._versions.changed_s(ask.url, digest, ask.now_s)
        etag = {"ETag": f'"{digest}"'} if self._has_etags else {}
        headers = {**_headers(ask, kind, changed_s), **etag}
        if self._is_known(ask.headers, digest, changed_s):
            return Reply(b"", 304, headers)
        body = body_of(changed_s)
        if kind == "stations":
            return Reply(body, headers=headers, is_data=True)
        truth = self._truths["alerts" if kind == "alerts" else "observations"]
        return Reply(body, headers=headers, is_data=True, on_sent=lambda: truth.note(body))

    def _is_known(self, headers: Mapping[str, str], digest: str, changed_s: int) -> bool:
        """By the tag where there are tags and the client sent one, else by the time."""
        if self._has_etags and "if-none-match" in headers:
            return f'"{digest}"' in headers["if-none-match"]
        return is_known(headers.get("if-modified-since", ""), changed_s)

    def _world_s(self, now_us: int) -> int:
        return (self._start_us + int((now_us - self._start_us) * self._speed)) // SECOND_US

    def _is_zone(self, zone: str) -> bool:
        numbers = range(1, self._settings.zones_per_state + 1)
        return any(zone == zone_id(s, n) for s in self._settings.states for n in numbers)

    def _refuse(self, reply: Reply) -> Reply:
        with self._lock:
            self._refused += 1
        return reply


def has_contact(user_agent: str) -> bool:
    """Whether it says whom to call: an address or a page."""
    return "@" in user_agent or "://" in user_agent


def not_found() -> Reply:
    """A path, an alert or a zone that is not there, or a station that has no data."""
    return _problem(404, nws_wire.problem("NotFound", "Not Found", 404, "Not Found"))


def no_station(station_id: str) -> Reply:
    """A station that does not exist."""
    detail = f"Unable to provide data for requested station {station_id}"
    title = "Data Unavailable For Requested Station"
    return _problem(404, nws_wire.problem("InvalidPoint", title, 404, detail))


def no_point(point: str) -> Reply:
    """A point outside of the states."""
    detail = f"Unable to provide data for requested point {point}"
    title = "Data Unavailable For Requested Point"
    return _problem(404, nws_wire.problem("InvalidPoint", title, 404, detail))


def _problem(status: int, body: bytes) -> Reply:
    correlation_id = msgspec.json.decode(body)["correlationId"]
    headers = {"Content-Type": nws_wire.PROBLEM, "X-Correlation-Id": correlation_id}
    return Reply(body, status, headers)


def _headers(ask: Ask, kind: str, changed_s: int) -> dict[str, str]:
    max_age_s = MAX_AGES_S[kind]
    return {
        "Content-Type": nws_wire.GEOJSON,
        "Cache-Control": f"public, max-age={max_age_s}, s-maxage={max_age_s}",
        "Expires": formatdate(ask.now_s + max_age_s, usegmt=True),
        "Last-Modified": formatdate(changed_s, usegmt=True),
        "Vary": "Accept,Feature-Flags,Accept-Language",
        "X-Correlation-Id": nws_wire.correlation(f"{ask.url}|{ask.now_s}".encode()),
    }


def _next_page(ask: Ask, behind: str) -> dict[str, str]:
    """There is always a next page, also behind the last one: it is empty."""
    base = f"http://{ask.host}" if ask.host else nws_wire.API
    query = ask.query.with_cursor(behind)
    return {"next": f"{base}{urlsplit(ask.url).path}?{query}"}


def _json() -> dict[str, str]:
    return {"Content-Type": nws_wire.GEOJSON}


def _order(body: bytes, kind: type[_Order]) -> _Order:
    return msgspec.json.decode(body or b"{}", type=kind)
