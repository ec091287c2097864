"""The `topics:` and `topic_rules:` blocks: what topics exist and which record goes where.

Retention in milliseconds.  The default rules are the earlier system's, the most specific first,
searched anywhere in the id and never by a bare substring of a word.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from wildfire_ingest.config.base import Model, Scalar, Sequence, refusal
from wildfire_ingest.config.pattern import MAX_CHARS, fault

Priority = Literal["critical", "high", "normal", "low"]
DEFAULT_TOPIC = "wildfire-default"
TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
TOPIC_PROPERTIES_WITH_OWN_KEY = {
    "retention.ms": "retention_ms",
    "compression.type": "compression_type",
    "min.insync.replicas": "min_insync_replicas",
    "cleanup.policy": "cleanup_policy",
}


class TopicModel(Model):
    """One declared topic."""

    name: str | None = None
    """The topic's name again, where the earlier file gives it; must equal its key."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Partitions."""
    replication_factor: Annotated[int, Field(ge=1, le=15)] = 1
    """Copies of each partition."""
    retention_ms: Annotated[int, Field(ge=-1)] = 604_800_000
    """How long records are kept, ms; -1 = for ever."""
    compression_type: Literal[
        "producer", "uncompressed", "none", "gzip", "snappy", "lz4", "zstd"
    ] = "gzip"
    """Compression in the log; `producer` keeps what was sent."""
    min_insync_replicas: Annotated[int, Field(ge=1, le=15)] | None = None
    """Copies that must have a record before it counts; unset = the broker's own."""
    cleanup_policy: Literal["delete", "compact", "compact,delete"] = "delete"
    """What the broker does with old records."""
    config: dict[str, Scalar] = Field(default_factory=dict)
    """Any further topic property of Kafka, e.g. `segment.bytes`."""


def check_pattern(value: str) -> str:
    """A validator's body: the pattern, or a refusal."""
    problem = fault(value)
    if problem is not None:
        raise refusal(
            f"a regular expression of at most {MAX_CHARS} characters without nested repeats;"
            f" this is {problem}"
        )
    return value


class ContentRuleModel(Model):
    """A rule on one field of a record; every condition given must hold; the first match wins."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    """Name of the record's field, e.g. `event`."""
    equals: Scalar | None = None
    """The field has this value."""
    matches: str | None = None
    """Regular expression searched in the field, any case."""
    exists: bool | None = None
    """Whether the field has a value."""
    topic: str | None = None
    """Where a matching record goes."""
    priority: Priority | None = None
    """Lane of a matching record."""

    @field_validator("matches")
    @classmethod
    def _pattern_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else check_pattern(value)

    @model_validator(mode="after")
    def _has_condition_and_effect(self) -> ContentRuleModel:
        if self.equals is None and self.matches is None and self.exists is None:
            raise refusal("a condition: equals, matches or exists")
        if self.topic is None and self.priority is None:
            raise refusal("an effect: topic or priority")
        return self


class PatternRuleModel(Model):
    """A rule on the source id; the first match wins."""

    pattern: str
    """Regular expression searched in the source id, any case."""
    topic: str
    """Where the source's records go."""

    @field_validator("pattern")
    @classmethod
    def _pattern_is_safe(cls, value: str) -> str:
        return check_pattern(value)


DEFAULT_CONTENT: tuple[ContentRuleModel, ...] = (
    ContentRuleModel(
        field="data_type", equals="satellite_image", topic="wildfire-satellite-imagery"
    ),
    ContentRuleModel(
        field="event", matches=r"\b(red flag|fire weather)\b", topic="wildfire-weather-alerts"
    ),
    ContentRuleModel(field="type", equals="weather_alert", topic="wildfire-weather-alerts"),
    ContentRuleModel(field="alert_id", exists=True, topic="wildfire-alerts-generated"),
)
DEFAULT_PATTERNS: tuple[PatternRuleModel, ...] = tuple(
    PatternRuleModel(pattern=pattern, topic=topic)
    for pattern, topic in (
        (r"^(firms|landsat_nrt|firesat)(_|$)", "wildfire-nasa-firms"),
        (r"^noaa_stations", "wildfire-weather-stations"),
        (r"^noaa_alerts", "wildfire-weather-alerts"),
        (r"_(alert|warning)s?(_|$)", "wildfire-alerts-generated"),
        (r"^(emergency|evacuation)_", "wildfire-alerts-generated"),
        (r"^(wx_)?(era5|gfs|nam)(_|$)", "wildfire-weather-bulk"),
        (r"^noaa_gridpoints", "wildfire-weather-bulk"),
        (r"^(noaa|wx|weather)_", "wildfire-weather-data"),
        (r"^(airnow|purpleair)(_|$)", "wildfire-sensor-data"),
        (r"^(iot|sensor)_", "wildfire-iot-sensors"),
        (r"^(sat|satellite)_", "wildfire-satellite-data"),
    )
)


class TopicRulesModel(Model):
    """Routing as data. Order: custom_topic_mappings, content, a source's topic or patterns."""

    content: Sequence[ContentRuleModel] = DEFAULT_CONTENT
    """Rules on a record's fields."""
    patterns: Sequence[PatternRuleModel] = DEFAULT_PATTERNS
    """Rules on the source id."""
