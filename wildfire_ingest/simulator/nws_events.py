"""Which hazards there are and what is said about each: a seeded world of alerts.

An event begins, is told by one message, updated by others (a new id that refers to the earlier
ones) and runs out or is cancelled.  Everything is a function of the seed and the time, seconds
since the epoch, UTC.  A message is shown until the next of its event, or until the event's end:
often past its own `expires`, which is the shelf life of the text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal

import msgspec
from msgspec.structs import replace

from wildfire_ingest.simulator.nws_places import STATES, State, zone_id
from wildfire_ingest.simulator.nws_world import NwsWorldSettings

MessageType = Literal["Alert", "Update", "Cancel"]
MAX_UPDATES = 5
INJECTED_FROM = 9000
"""Tracking numbers from here on are of events that a person put in."""
NO_END_SHARE = 0.1
"""Messages without `ends`; measured: 3 to 37 %."""
SHORT_SHELF_SHARE = 0.65
"""Messages that expire before the event ends; measured: 40 to 83 %."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """One kind of event; `vtec` is phenomenon.significance, None where its texts have no VTEC."""

    event: str
    vtec: str | None
    zone_type: Literal["fire", "forecast", "county"]
    severity: str
    certainty: str
    urgency: str
    weight: int


HAZARDS = {
    hazard.event: hazard
    for hazard in (
        Hazard("Red Flag Warning", "FW.W", "fire", "Severe", "Likely", "Expected", 20),
        Hazard("Fire Weather Watch", "FW.A", "fire", "Severe", "Possible", "Future", 10),
        Hazard("High Wind Warning", "HW.W", "forecast", "Severe", "Likely", "Expected", 10),
        Hazard("Wind Advisory", "WI.Y", "forecast", "Moderate", "Likely", "Expected", 15),
        Hazard("Heat Advisory", "HT.Y", "forecast", "Moderate", "Likely", "Expected", 8),
        Hazard("Dense Smoke Advisory", "SM.Y", "forecast", "Minor", "Likely", "Expected", 6),
        Hazard("Flood Warning", "FL.W", "county", "Severe", "Observed", "Immediate", 8),
        Hazard("Air Quality Alert", None, "forecast", "Unknown", "Unknown", "Unknown", 8),
        Hazard(
            "Special Weather Statement", None, "forecast", "Moderate", "Observed", "Expected", 8
        ),
        Hazard("Evacuation Immediate", None, "county", "Extreme", "Observed", "Immediate", 3),
        Hazard("Extreme Fire Danger", None, "fire", "Severe", "Likely", "Expected", 4),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """When one message of an event is sent, and what end it announces."""

    sent_s: int
    message_type: MessageType
    action: str
    ends_s: int


class Alert(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One message, as immutable as its id."""

    id: str
    hazard: Hazard
    state: State
    ugc: tuple[str, ...]
    severity: str
    tracking_number: int
    begins_s: int
    polygon: tuple[tuple[float, float], ...] = ()
    references: tuple[tuple[str, int], ...] = ()
    """Ids of the earlier messages of the event, and when they were sent."""
    message_type: MessageType = "Alert"
    action: str = "NEW"
    """Of the VTEC: NEW, CON, EXT, CAN."""
    sent_s: int = 0
    expires_s: int = 0
    ends_s: int | None = None
    gone_s: int = 0
    """From when on it is no longer active."""
    is_doubled: bool = False
    """Stands twice in one answer."""

    def is_in(self, area: str) -> bool:
        """Whether a state or a zone is concerned."""
        return any(zone.startswith(area) for zone in self.ugc)


class NwsEvents:
    """The alerts at every moment from `start_s - history_s` on."""

    def __init__(self, settings: NwsWorldSettings, start_s: int) -> None:
        self._settings = settings
        self._begins_s = start_s - settings.history_s
        self._spacing_s = 60 / settings.events_per_minute if settings.events_per_minute else None
        self._longest_s = settings.life_s[1] * (4 + MAX_UPDATES) // 4 + settings.cancel_shown_s
        self._event = lru_cache(maxsize=32_768)(self._messages)

    def active(self, now_s: int) -> list[Alert]:
        """What is in force, the latest first."""
        return [
            alert
            for alert in self._since(now_s - self._longest_s, now_s)
            if alert.sent_s <= now_s < alert.gone_s
        ]

    def kept(self, now_s: int) -> list[Alert]:
        """All messages that are still kept, in force or not, the latest first."""
        oldest_s = now_s - self._settings.keep_s
        found = self._since(oldest_s - self._longest_s, now_s)
        return [alert for alert in found if oldest_s <= alert.sent_s <= now_s]

    def _since(self, first_s: int, now_s: int) -> list[Alert]:
        """Messages of the events that began at `first_s` or later."""
        found = (alert for number in self._numbers(first_s, now_s) for alert in self._event(number))
        return sorted(found, key=latest_first)

    def _numbers(self, first_s: int, now_s: int) -> Iterator[int]:
        if self._spacing_s is not None:
            first = max(first_s, self._begins_s)
            yield from range(
                math.ceil(first / self._spacing_s), math.floor(now_s / self._spacing_s) + 1
            )

    def _messages(self, number: int) -> tuple[Alert, ...]:
        """The life of one event."""
        draw = Random(f"{self._settings.seed}|event|{number}")  # noqa: S311 - simulated data
        state = STATES[draw.choice(self._settings.states)]
        kinds = tuple(HAZARDS.values())
        hazard = draw.choices(kinds, [kind.weight for kind in kinds])[0]
        begins_s = math.floor((number + draw.random()) * (self._spacing_s or 0))
        first = Alert(
            id="",
            hazard=hazard,
            state=state,
            ugc=self._ugc(draw, state, hazard),
            severity=hazard.severity,
            tracking_number=1 + number % INJECTED_FROM,
            begins_s=begins_s,
            polygon=square(draw, state) if draw.random() < self._settings.polygon_share else (),
        )
        steps = self._steps(draw, begins_s)
        messages: list[Alert] = []
        for place, step in enumerate(steps):
            next_s = steps[place + 1].sent_s if place + 1 < len(steps) else step.ends_s
            message_id = alert_id(f"{self._settings.seed}|{number}|{place}")
            messages.append(self._message(draw, replace(first, id=message_id), step, next_s))
            told = (*first.references, (message_id, step.sent_s))
            first = replace(first, references=told)
        return tuple(messages)

    def _message(self, draw: Random, about: Alert, step: Step, next_s: int) -> Alert:
        world = self._settings
        has_end = draw.random() >= NO_END_SHARE
        is_short = has_end and draw.random() < SHORT_SHELF_SHARE
        shelf = draw.uniform(0.3, 0.9) if is_short else 1.0
        is_cancel = step.message_type == "Cancel"
        return replace(
            about,
            message_type=step.message_type,
            action=step.action,
            sent_s=step.sent_s,
            expires_s=step.sent_s + max(1, int((step.ends_s - step.sent_s) * shelf)),
            ends_s=step.ends_s if has_end else None,
            gone_s=step.sent_s + world.cancel_shown_s if is_cancel else next_s,
            is_doubled=draw.random() < world.duplicate_share,
        )

    def _steps(self, draw: Random, begins_s: int) -> list[Step]:
        """What is told when."""
        world = self._settings
        life_s = draw.randint(*world.life_s)
        sent_s, ends_s = begins_s, begins_s + life_s
        steps = [Step(sent_s, "Alert", "NEW", ends_s)]
        while len(steps) <= MAX_UPDATES and draw.random() < world.update_share:
            sent_s += draw.randint(*world.update_after_s)
            if sent_s >= ends_s:
                return steps
            action = draw.choice(("CON", "EXT"))
            ends_s += life_s // 4 if action == "EXT" else 0
            steps.append(Step(sent_s, "Update", action, ends_s))
        if draw.random() < world.cancel_share:
            sent_s += draw.randint(*world.update_after_s)
            if sent_s < ends_s:
                steps.append(Step(sent_s, "Cancel", "CAN", ends_s))
        return steps

    def _ugc(self, draw: Random, state: State, hazard: Hazard) -> tuple[str, ...]:
        zones = self._settings.zones_per_state
        numbers = sorted(draw.sample(range(1, zones + 1), draw.randint(1, zones)))
        return tuple(ugc_code(hazard, state, number) for number in numbers)


def ugc_code(hazard: Hazard, state: State, number: int) -> str:
    """A zone, or a county where the hazard is told by counties."""
    if hazard.zone_type == "county":
        return f"{state.code}C{2 * number - 1:03d}"
    return zone_id(state.code, number)


def alert_id(seed: str) -> str:
    """An id of the real shape."""
    digest = hashlib.blake2b(seed.encode(), digest_size=20).hexdigest()
    return f"urn:oid:2.49.0.1.840.0.{digest}.001.1"


def square(draw: Random, state: State) -> tuple[tuple[float, float], ...]:
    """A closed ring in the state, longitude first, counter-clockwise."""
    west = round(state.longitude + draw.uniform(-1.5, 1.0), 2)
    south = round(state.latitude + draw.uniform(-1.5, 1.0), 2)
    east, north = round(west + 0.4, 2), round(south + 0.3, 2)
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def latest_first(alert: Alert) -> tuple[int, str]:
    """The order of every list of alerts, also of its pages."""
    return (-alert.sent_s, alert.id)
