"""Alerts and observations that somebody puts into the simulated world at a moment of his choice.

POST /_simulator/alert and /_simulator/observation.  What is put in is served at once, whatever
the clock says, until its end comes.  Seconds since the epoch, UTC; readings in the world's units.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from wildfire_ingest.simulator.nws_events import (
    HAZARDS,
    INJECTED_FROM,
    Alert,
    Hazard,
    MessageType,
    alert_id,
    ugc_code,
)
from wildfire_ingest.simulator.nws_places import STATES, Station
from wildfire_ingest.simulator.nws_wire import DIMENSIONS
from wildfire_ingest.simulator.nws_world import NwsWorldSettings, Observation, Reading

MAX_KEPT = 10_000
"""Of either kind; the oldest are forgotten."""


class AlertOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"event": "Red Flag Warning", "zone": "CAZ001"}`; nothing is obligatory."""

    event: Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ]{1,80}$")] = "Red Flag Warning"
    state: str = ""
    zone: Annotated[str, Meta(pattern=r"^([A-Z]{2}[CZ]\d{3})?$")] = ""
    severity: str = ""
    message_type: MessageType = "Alert"
    reference: str = ""
    """Of an Update or a Cancel: the injected alert that it replaces."""
    life_s: Annotated[int, Meta(ge=1)] = 600


class ObservationOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"station": "KABC", "values": {"temperature": 41.5}}`; readings not named are null."""

    station: str
    values: dict[str, float | None] = {}
    flags: dict[str, Annotated[str, Meta(pattern=r"^[A-Z]$")]] = {}
    timestamp: datetime | None = None
    """Now, where it is missing; a time that is known is a revision of that observation."""


class Injected:
    """What was put in.  Thread-safe."""

    def __init__(self, settings: NwsWorldSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._alerts: dict[str, Alert] = {}
        self._observations: dict[tuple[str, int], Observation] = {}
        self._made = 0

    def add_alert(self, order: AlertOrder, now_s: int) -> Alert:
        """Raises ValueError where the order cannot be carried out."""
        with self._lock:
            before = self._alerts.get(order.reference)
            if (before is None) != (order.message_type == "Alert"):
                raise ValueError(
                    "an Update or a Cancel has a `reference` to an alert that was put in; "
                    "an Alert has none"
                )
            self._made += 1
            alert = self._first(order, now_s) if before is None else self._later(order, before)
            ends_s = now_s + order.life_s
            shown_s = self._settings.cancel_shown_s if alert.action == "CAN" else order.life_s
            alert = replace(
                alert,
                id=alert_id(f"{self._settings.seed}|injected|{self._made}"),
                sent_s=now_s,
                expires_s=now_s + max(1, order.life_s * 2 // 3),
                ends_s=ends_s,
                gone_s=now_s + shown_s,
            )
            if before is not None:
                self._alerts[before.id] = replace(before, gone_s=0)
            self._alerts[alert.id] = alert
            _forget(self._alerts)
        return alert

    def _first(self, order: AlertOrder, now_s: int) -> Alert:
        hazard = HAZARDS.get(order.event) or Hazard(
            order.event, None, "forecast", "Severe", "Likely", "Expected", 1
        )
        code = order.state or order.zone[:2] or self._settings.states[0]
        if code not in STATES:
            raise ValueError(f"found state {code}; expected one of {', '.join(STATES)}")
        return Alert(
            id="",
            hazard=hazard,
            state=STATES[code],
            ugc=(order.zone or ugc_code(hazard, STATES[code], 1),),
            severity=order.severity or hazard.severity,
            tracking_number=INJECTED_FROM + self._made % 1000,
            begins_s=now_s,
        )

    def _later(self, order: AlertOrder, before: Alert) -> Alert:
        return replace(
            before,
            message_type=order.message_type,
            action="CAN" if order.message_type == "Cancel" else "EXT",
            severity=order.severity or before.severity,
            references=(*before.references, (before.id, before.sent_s)),
        )

    def add_observation(self, station: Station, order: ObservationOrder, now_s: int) -> Observation:
        """Raises ValueError where the order cannot be carried out."""
        unknown = sorted({*order.values, *order.flags} - set(DIMENSIONS))
        if unknown:
            raise ValueError(f"found {', '.join(unknown)}; expected {', '.join(DIMENSIONS)}")
        at_s = now_s if order.timestamp is None else int(order.timestamp.timestamp())
        readings = {
            name: Reading(
                order.values.get(name),
                order.flags.get(name, "Z" if order.values.get(name) is None else "V"),
            )
            for name in DIMENSIONS
        }
        observation = Observation(station, at_s, readings)
        with self._lock:
            self._observations[station.id, at_s] = observation
            _forget(self._observations)
        return observation

    def active(self, now_s: int) -> list[Alert]:
        """Alerts that are in force."""
        with self._lock:
            return [alert for alert in self._alerts.values() if now_s < alert.gone_s]

    def kept(self, now_s: int) -> list[Alert]:
        """Alerts in force or not."""
        oldest_s = now_s - self._settings.keep_s
        with self._lock:
            return [alert for alert in self._alerts.values() if alert.sent_s >= oldest_s]

    def observations(self, station: Station, now_s: int) -> list[Observation]:
        """Of one station."""
        oldest_s = now_s - self._settings.keep_s
        with self._lock:
            return [
                observation
                for observation in self._observations.values()
                if observation.station.id == station.id and observation.at_s >= oldest_s
            ]


def _forget(kept: dict[str, Alert] | dict[tuple[str, int], Observation]) -> None:
    while len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]  # type: ignore[arg-type]  # a key of this very dict
