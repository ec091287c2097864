"""FIRMS sources on simulated APIs and a real Kafka: what Dagster's processes run in a test.

Exactly once is judged from outside: what a site served, by its own reading, against what a
read_committed consumer finds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config import build, loader
from wildfire_ingest.delivery import topics
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest_tests import judge

SECRETS = {"FIRMS_MAP_KEY": "test"}
NEVER = "0 0 1 1 *"
"""A schedule that no test meets, but for those that sit up on New Year's Eve."""


def source(base_url: str, ingestion: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A FIRMS source of stream_config.yaml.

    Of the static file, which takes nothing of a key's quota: polled every second the API would
    be spent within minutes, the sooner after midnight, when a poll asks for two days.
    """
    return {
        "source_type": "nasa_firms",
        "base_url": base_url,
        "cache_ttl_seconds": 0,
        "ingestion": dict(ingestion),
        "custom_params": {"feed": "static", "static_region": "Global"},
        **more,
    }


def small_world(rows_per_minute: float) -> FirmsSimulator:
    """Fires that go on; what was served once is served until the test ends, never replaced."""
    settings = WorldSettings(
        rows_per_minute=rows_per_minute,
        history_s=60,
        granule_s=5,
        publish_after_s=(1, 2),
        late_share=0.0,
        reprocess_after_s=(3600, 3600),
    )
    return FirmsSimulator(settings, SystemClock().now_us())


class Deployed:
    """A configuration file with its topics, and what is in Kafka of its sources."""

    def __init__(self, folder: Path, kafka: ApacheKafka, name: str) -> None:
        self.file = folder / "stream_config.json"
        self.topic = f"firms-{name}"
        self._kafka = kafka
        self._name = name

    def configure(self, sources: Mapping[str, Any], **more: Any) -> None:
        """Write the file; its topics are made where they are not there."""
        document = {
            "kafka": {
                "bootstrap_servers": self._kafka.bootstrap,
                "dlq_topic": f"dlq-{self._name}",
                "offsets_topic": f"offsets-{self._name}",
            },
            "state_dir": "state",
            "topics": {self.topic: {"partitions": 2}},
            "sources": {
                source_id: {"topic": self.topic, **one} for source_id, one in sources.items()
            },
            **more,
        }
        self.file.write_text(json.dumps(document))
        self._make_topics()

    def _make_topics(self) -> None:
        loaded = loader.load(self.file, environ=SECRETS).config
        settings = build.kafka_settings(loaded)
        admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
        topics.sync(admin, topics.with_own_topics(build.topic_settings(loaded), settings))

    def records(self, source_id: str) -> list[dict[str, Any]]:
        """Of one source, each as it is in Kafka."""
        seen = judge.values(self._kafka.bootstrap, self.topic)
        decoded = [msgspec.json.decode(value) for value in seen]
        return [record for record in decoded if record["source_id"] == source_id]

    def assert_exactly_once(self, source_id: str, site: FirmsSimulator) -> int:
        """Each row that was served is in Kafka, once; how many they are."""
        found = Counter(record["id"] for record in self.records(source_id))
        assert [one for one, times in found.items() if times > 1] == []
        assert len(found) == site.distinct_rows_served()
        return len(found)
