"""Which topics a source may write to, by the routing rules.  Pure."""

from __future__ import annotations

from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.dispatch.topic_resolver import TopicResolver


def topics_of(config: StreamConfig, source_id: str) -> tuple[str, ...]:
    """Its own topic first, then those that a content rule may choose."""
    settings = build.routing_settings(config)
    route = TopicResolver(settings).resolve(source_id, None)
    if route.by == "mapping":
        return (route.topic,)
    by_content = (rule.topic for rule in settings.content if rule.topic is not None)
    return tuple(dict.fromkeys((route.topic, *by_content)))
