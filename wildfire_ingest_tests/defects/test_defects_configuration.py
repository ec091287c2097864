"""What a configuration says is what happens: it starts, and every key of it has its effect."""

from __future__ import annotations

import typing
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from wildfire_ingest.assembly import build_source, running_source
from wildfire_ingest.config import build
from wildfire_ingest.config.kafka import KafkaModel
from wildfire_ingest.config.loader import load
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery import topics as kafka_topics
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.testing import FakeApi, FakeClock, FakeKafka, FakeLag, FakeSink
from wildfire_ingest_tests.defects.rows import answer, row

SHIPPED = Path(__file__).parents[2] / "stream_config.yaml"
COMPRESSIONS = typing.get_args(KafkaModel.model_fields["compression_type"].annotation)


def configured(tmp_path: Path, text: str) -> StreamConfig:
    path = tmp_path / "stream_config.yaml"
    path.write_text(text)
    return load(path, environ={"FIRMS_MAP_KEY": "demo"}).config


def test_defect_01_the_shipped_configuration_starts_and_dead_letters(tmp_path: Path) -> None:
    shipped = load(SHIPPED, environ={}).config
    config = shipped.model_copy(update={"state_dir": tmp_path})
    kafka, clock = FakeKafka(), FakeClock()

    def with_fakes(parts: Parts) -> Parts:
        api = FakeApi([answer(row(50.1), row("here"))], clock)
        sink = FakeSink(kafka, "firms_viirs_snpp", clock=clock)
        return replace(parts, fetcher=api, sink=sink, lag=FakeLag())

    with running_source(
        config, "firms_viirs_snpp", clock=clock, environ={}, replace=with_fakes
    ) as engine:
        summary = engine.run_once()

    assert summary.succeeded
    assert summary.topics == {"wildfire-nasa-firms": 1, config.kafka.dlq_topic: 1}


def test_defect_04_compression_linger_and_topics_of_the_file_reach_kafka(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        "kafka: {compression_type: lz4, linger_ms: 7}\n"
        "topics: {fires: {partitions: 3, retention_ms: 1234, compression_type: snappy}}\n",
    )

    client = client_config.producer(build.kafka_settings(config))
    (fires,) = [topic for topic in build.topic_settings(config) if topic.name == "fires"]
    steps = kafka_topics.decide(fires, None)

    assert (client["compression.type"], client["linger.ms"]) == ("lz4", 7)
    assert [step.action for step in steps] == ["create"]
    assert fires.partitions == 3
    wanted = kafka_topics.topic_config(fires)
    assert (wanted["retention.ms"], wanted["compression.type"]) == ("1234", "snappy")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_defect_05_the_client_takes_every_compression_that_is_offered(
    compression: str, tmp_path: Path
) -> None:
    config = configured(
        tmp_path, f"kafka: {{bootstrap_servers: '127.0.0.1:1', compression_type: {compression}}}\n"
    )

    Producer(client_config.producer(build.kafka_settings(config)))  # raises where it does not


def test_defect_19_each_source_asks_for_what_its_own_block_says(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        "sources:\n"
        "  a: {source_type: nasa_firms, custom_params: {product: MODIS_NRT, area: '1,2,3,4'}}\n"
        "  b: {source_type: nasa_firms, custom_params: {product: VIIRS_NOAA20_NRT, day_range: 2}}\n"
        "  c: {source_type: nasa_firms, custom_params: {satellite: NOAA21, region: world}}\n",
    )

    noon_us = 1_767_268_800_000_000
    asked = {name: next(build_source(config, name).poll(None, noon_us)).template for name in "abc"}

    assert asked["a"].endswith("/MODIS_NRT/1,2,3,4/1")
    assert "/VIIRS_NOAA20_NRT/-124.482003," in asked["b"]
    assert asked["b"].endswith("/2")
    assert asked["c"].endswith("/VIIRS_NOAA21_NRT/world/1")
