"""How a source and a topic appear in Dagster: key, group, kinds, owners, tags, pool.

The only place that decides it.  Names are stable: a changed one loses history and on/off states.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from wildfire_ingest import __version__
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.dispatch.topic_resolver import TopicResolver

MAX_TAG_CHARS = 63
"""Of an asset tag's value, in Dagster."""
SOURCE_TAG, MODE_TAG, FINGERPRINT_TAG = (
    "wildfire/source",
    "wildfire/mode",
    "wildfire/fingerprint",
)
STREAM_TAG, HEARTBEAT_TAG, DRAIN_TAG = (
    "wildfire/stream",
    "wildfire/heartbeat",
    "wildfire/drain",
)
"""Of a continuous run: whose it is, when it last lived (epoch seconds), why it should end."""


def source_key(source: SourceModel) -> dg.AssetKey:
    """`wildfire/<source_type>/<source_id>`."""
    return dg.AssetKey(["wildfire", source.source_type, source.source_id])


def topic_key(topic: str) -> dg.AssetKey:
    """`kafka/<topic>`."""
    return dg.AssetKey(["kafka", topic])


def topic_of(config: StreamConfig, source: SourceModel) -> str:
    """Where a source's records go when no content rule says otherwise."""
    resolver = TopicResolver(build.routing_settings(config))
    return resolver.resolve(source.source_id, None).topic


def source_spec(config: StreamConfig, source: SourceModel) -> dg.AssetSpec:
    """A source as an asset; skippable, because a run that sends nothing materializes nothing."""
    return dg.AssetSpec(
        key=source_key(source),
        description=f"{source.source_type} from {source.server} into {topic_of(config, source)}.",
        group_name=source.source_type,
        kinds={"kafka", "python"},
        owners=list(source.owners),
        tags={
            SOURCE_TAG: source.source_id[:MAX_TAG_CHARS],
            MODE_TAG: source.ingestion.mode,
        },
        skippable=True,
        freshness_policy=freshness(source),
        metadata={"topic": topic_of(config, source), "server": source.server},
    )


def freshness(source: SourceModel) -> dg.FreshnessPolicy:
    """When a source that sends nothing is noticed; it follows materializations: data, not runs."""
    fails_after = timedelta(seconds=source.freshness_s)
    return dg.FreshnessPolicy.time_window(fail_window=fails_after, warn_window=fails_after / 2)


def topic_specs(config: StreamConfig, sources: Iterable[SourceModel]) -> list[dg.AssetSpec]:
    """The topics that these sources write to, downstream of them."""
    feeding: dict[str, list[SourceModel]] = {}
    for source in sources:
        feeding.setdefault(topic_of(config, source), []).append(source)
    return [
        dg.AssetSpec(
            key=topic_key(topic),
            deps=[source_key(source) for source in writers],
            description=f"The Kafka topic {topic}.",
            group_name="topics",
            kinds={"kafka"},
            owners=sorted({owner for source in writers for owner in source.owners}),
        )
        for topic, writers in feeding.items()
    ]


def pool_of(source: SourceModel) -> str:
    """Sources of one API share a pool: so many runs at once ask it (dagster.yaml)."""
    return f"api_{source.source_type}"


def run_tags(config: StreamConfig, source: SourceModel) -> dict[str, str]:
    """What a run of the source carries."""
    return {
        SOURCE_TAG: source.source_id,
        MODE_TAG: source.ingestion.mode,
        FINGERPRINT_TAG: fingerprint(config, source),
    }


def fingerprint(config: StreamConfig, source: SourceModel) -> str:
    """Changes with the program and with whatever the source's run is configured by.

    Not with the instance: two code locations that both have the source share its one run.
    """
    others = {"sources": {source.source_id: source}, "environment": {}, "instance": None}
    # Secrets are masked in the dump: the fingerprint says nothing about them.
    shown = config.model_copy(update=others).model_dump_json()
    return hashlib.sha256(f"{__version__}|{shown}".encode()).hexdigest()[:12]
