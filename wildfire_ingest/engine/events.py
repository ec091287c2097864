"""What happens in the engine, as values; log, Dagster and Prometheus are adapters over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.record import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one source."""

    source_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled(Event):
    """A poll's rows are durable (T1)."""

    counts: Ledger
    loads: int
    from_cache: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed(Event):
    """A poll brought no answer; the cursor did not move."""

    error_class: str
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Event):
    """A transaction is committed and marked (T7)."""

    lanes: tuple[Lane, ...]
    records: int
    dead: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """The throttle holds a publisher back."""

    publisher: str
    seconds: float
    lag: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    """A transaction did not get through; its loads stay spooled."""

    publisher: str
    error_class: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered(Event):
    """Records that the broker refuses were addressed to the dead letter topic."""

    lane: Lane
    records: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evicted(Event):
    """The spool's limits made loads leave; they are archived."""

    lane: Lane
    records: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded(Event):
    """A person must look: it works on, but not as it should."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Event):
    """R1 to R6 are done."""

    epoch: int
    published_meanwhile: int
    pending: int
    adopted: bool


class Observer(Protocol):
    """Takes events; called from every thread of a source; must not raise and must not block."""

    def emit(self, event: Event) -> None: ...


class Silent:
    """Takes events and does nothing with them."""

    def emit(self, event: Event) -> None:
        """Let it pass."""


class Fanout:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def emit(self, event: Event) -> None:
        for observer in self._observers:
            observer.emit(event)
