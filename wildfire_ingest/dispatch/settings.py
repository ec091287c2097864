"""What queue, throttle and topic resolver need to know; built by config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wildfire_ingest.record import Lane

SECOND_US = 1_000_000
"""clock.SECOND_US, for modules that decide and therefore may not import a clock."""

Overflow = Literal["drop_oldest", "drop_newest", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The in-memory front of the spool."""

    max_records: int = 10_000
    overflow: Overflow = "drop_oldest"
    allow_drop_critical: bool = False
    batch_records: int = 500
    """NORMAL and LOW gather until so many records wait …"""
    batch_timeout_s: float = 5.0
    """… or the oldest of them has waited so long."""
    normal_weight: int = 3
    """So many NORMAL records are served for one LOW record while both wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleSettings:
    """How consumer lag slows a source down.  Rates in records/s, lag in records."""

    enabled: bool = True
    min_send_rate: float = 1.0
    max_send_rate: float = 1000.0
    """0 = unlimited."""
    target_lag: int = 1000
    critical_lag: int = 5000
    batch_size: int = 500
    moderate_pause_s: float = 1.0
    max_level: int = 4
    """The critical pause is 2^level seconds, level 1..max_level."""
    calm_samples: int = 10
    """So many low samples in a row take one level down."""
    unknown_after_s: float = 60.0
    sample_interval_s: float = 5.0
    consumer_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """topic -> groups whose lag counts; no group = no lag throttle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRule:
    """A rule on a record's own fields; every given condition must hold."""

    field: str
    equals: str | int | float | bool | None = None
    matches: str | None = None
    """Regular expression, searched, case-insensitive."""
    exists: bool | None = None
    topic: str | None = None
    lane: Lane | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRule:
    """A rule on the source id; searched, case-insensitive; first match wins."""

    pattern: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """mapping, content, pattern, default: in this order."""

    mapping: dict[str, str] = field(default_factory=dict)
    content: tuple[ContentRule, ...] = ()
    patterns: tuple[PatternRule, ...] = ()
    source_topics: dict[str, str] = field(default_factory=dict)
    """`sources.<id>.topic`: replaces pattern and default for that source."""
    default: str = "wildfire-default"
    declared: frozenset[str] = frozenset()
    """Every topic the resolver may answer."""
