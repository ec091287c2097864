"""How far the consumers of a source's topics are behind, asked of the brokers in bounded time.

Lag in records; seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config
from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.observe.topics_of import topics_of

ANSWER_S = 1.0
"""For each of two requests."""
NO_GROUPS = "no consumer group is configured for its topics (throttling.consumer_groups)"


@dataclass(frozen=True, slots=True)
class LagView:
    """The largest lag of a source's topics; None = unknown, and why."""

    records: int | None
    why_unknown: str = ""


class Lags:
    """Reads the lags of every source at once, as often as it is asked."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._groups = build.throttle_settings(config).consumer_groups
        kafka = build.kafka_settings(config)
        self._reader = LagReader(client_config.common(kafka), request_timeout_s=ANSWER_S)

    def read(self) -> dict[str, LagView]:
        """Source id -> its lag.  Does not raise for an outage."""
        known = self._reader.read(self._groups)
        why = self._reader.why_unknown
        return {
            one: worst(topics_of(self._config, one), known, why) for one in self._config.sources
        }


def worst(
    topics: tuple[str, ...], known: Mapping[str, int | None], why_unknown: Mapping[str, str]
) -> LagView:
    """The largest; unknown where that of one topic is."""
    counted = {topic: known[topic] for topic in topics if topic in known}
    if not counted:
        return LagView(None, NO_GROUPS)
    lags = [lag for lag in counted.values() if lag is not None]
    if len(lags) == len(counted):
        return LagView(max(lags))
    return LagView(None, next(f"{one}: {why_unknown[one]}" for one in topics if one in why_unknown))
