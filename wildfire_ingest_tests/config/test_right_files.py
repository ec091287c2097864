"""Right files load: the shipped one, the earlier system's, the specification's, YAML and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wildfire_ingest.config import build
from wildfire_ingest.config.loader import Loaded, load
from wildfire_ingest.config.topics import DEFAULT_CONTENT, DEFAULT_PATTERNS
from wildfire_ingest.dispatch.settings import RoutingSettings
from wildfire_ingest.dispatch.topic_resolver import TopicResolver
from wildfire_ingest.record import Lane

SHIPPED = Path(__file__).parents[2] / "stream_config.yaml"

EARLIER = """
kafka:
  bootstrap_servers: localhost:9092
  client_id: wildfire-stream-manager
  compression_type: gzip
  batch_size: 500
  linger_ms: 100
  max_retries: 3
  retry_backoff_base: 2.0
throttling:
  enabled: true
  min_send_rate: 1.0
  max_send_rate: 1000.0
  target_consumer_lag: 1000
  critical_consumer_lag: 5000
  adjustment_factor: 1.5
  window_size_seconds: 60
  metric_sample_size: 100
queue_max_size: 10000
queue_overflow_strategy: drop_oldest
enable_dlq: true
enable_metrics: true
metrics_interval_seconds: 60
topics:
  wildfire-nasa-firms:
    {partitions: 4, replication_factor: 1, retention_ms: 604800000, compression_type: gzip}
  wildfire-weather-data: {partitions: 8, retention_ms: 259200000, compression_type: gzip}
  wildfire-iot-sensors: {partitions: 12, retention_ms: 604800000, compression_type: lz4}
  wildfire-weather-alerts: {partitions: 2, retention_ms: 86400000, compression_type: snappy}
  wildfire-satellite-imagery: {partitions: 1, retention_ms: 86400000, compression_type: snappy}
sources:
  firms_viirs_conus:
    source_type: nasa_firms
    enabled: true
    topic: wildfire-nasa-firms
    ingestion: {mode: batch, batch_size: 1000, schedule_interval_seconds: 3600}
    rate_limit_per_minute: 60
    timeout_seconds: 30
    cache_ttl_seconds: 300
    custom_params: {region: CONUS, satellite: VIIRS}
  noaa_stations_california:
    source_type: noaa_weather
    topic: wildfire-weather-data
    ingestion:
      mode: continuous_streaming
      polling_interval_seconds: 30
      buffer_size: 100
      buffer_flush_interval_seconds: 5
    rate_limit_per_minute: 120
    timeout_seconds: 30
    cache_ttl_seconds: 60
    custom_params: {state: CA, data_types: [temperature, humidity, wind_speed]}
  noaa_alerts_california:
    source_type: noaa_weather
    topic: wildfire-weather-alerts
    ingestion: {mode: real_time, polling_interval_seconds: 30, max_records_per_poll: 100}
    rate_limit_per_minute: 60
    cache_ttl_seconds: 30
    custom_params: {state: CA, alert_types: [Red Flag Warning, Fire Weather Watch]}
  purpleair_california:
    source_type: iot_sensor
    topic: wildfire-iot-sensors
    ingestion:
      mode: continuous_streaming
      polling_interval_seconds: 60
      buffer_size: 200
      buffer_flush_interval_seconds: 10
    rate_limit_per_minute: 100
    cache_ttl_seconds: 120
    custom_params:
      bounding_box: 32.5,-124.5,42.0,-114.1
      fields: [pm25, humidity, temperature]
  iot_wildfire_sensors:
    source_type: iot_sensor
    topic: wildfire-iot-sensors
    ingestion: {mode: real_time, polling_interval_seconds: 300, max_records_per_poll: 500}
    rate_limit_per_minute: 60
    cache_ttl_seconds: 300
    custom_params:
      sensor_network: wildfire_monitoring
      metrics: [smoke, temperature, co2, wind]
  satellite_landsat:
    source_type: satellite
    enabled: false
    topic: wildfire-satellite-imagery
    ingestion: {mode: batch, batch_size: 50, schedule_interval_seconds: 86400}
    rate_limit_per_minute: 30
    timeout_seconds: 60
    cache_ttl_seconds: 3600
    custom_params: {satellite: Landsat-8, product: thermal, cloud_cover_max: 20}
custom_topic_mappings:
  emergency_alert: wildfire-alerts-critical
  test_data: wildfire-test-data
priority_sources: [noaa_alerts_california, emergency_alert]
environment:
  development:
    kafka.bootstrap_servers: localhost:9092
    throttling.enabled: false
    enable_metrics: true
  staging:
    kafka: {bootstrap_servers: staging-kafka:9092}
    throttling.target_consumer_lag: 2000
  production:
    kafka.bootstrap_servers: kafka1:9092,kafka2:9092,kafka3:9092
    throttling.critical_consumer_lag: 3000
    queue_max_size: 20000
    enable_dlq: true
    enable_metrics: true
monitoring:
  prometheus: {enabled: true, port: 9090, metrics_path: /metrics}
  grafana: {dashboards: [overview, lag, sources, errors]}
logging: {level: INFO, format: json, output: stdout, file_path: logs/stream.log}
health_check:
  enabled: true
  interval_seconds: 30
  timeout_seconds: 5
  endpoints: [kafka_producer, queue_manager, throttle_manager]
reliability:
  max_consecutive_failures: 10
  circuit_breaker_timeout_seconds: 60
  dlq_retry_attempts: 3
  dlq_retry_delay_seconds: 300
performance:
  enable_batching: true
  batch_timeout_seconds: 5.0
  enable_compression: true
  enable_caching: true
  max_concurrent_streams: 50
"""
SPECIFICATION = """
kafka:
  bootstrap_servers: "localhost:9092"
  compression_type: "gzip"
  batch_size: 500
  max_retries: 3
  retry_backoff_base: 2.0
throttling:
  enabled: true
  min_send_rate: 1.0
  max_send_rate: 1000.0
  target_consumer_lag: 1000
  critical_consumer_lag: 5000
queue_max_size: 10000
queue_overflow_strategy: "drop_oldest"
enable_dlq: true
enable_metrics: true
topics:
  wildfire-weather-data: {partitions: 8, replication_factor: 1, retention_ms: 259200000}
sources:
  noaa_stations_california:
    source_type: "noaa_weather"
    enabled: true
    ingestion:
      mode: "continuous_streaming"
      polling_interval_seconds: 30
      buffer_size: 100
      buffer_flush_interval_seconds: 5
    topic: "wildfire-weather-data"
    rate_limit_per_minute: 120
    timeout_seconds: 30
    cache_ttl_seconds: 60
    custom_params:
      state: "CA"
"""


def written(text: str, folder: Path, environ: dict[str, str] | None = None) -> Loaded:
    path = folder / "stream_config.yaml"
    path.write_text(text)
    return load(path, environ={"FIRMS_MAP_KEY": "demo"} if environ is None else environ)


def rules(loaded: Loaded) -> set[tuple[str, str]]:
    return {(one.rule, one.path) for one in loaded.warnings}


def route(settings: RoutingSettings, source_id: str) -> str:
    return TopicResolver(settings).resolve(source_id, None).topic


def test_the_shipped_file_loads_with_nothing_set_and_nothing_doubtful() -> None:
    loaded = load(SHIPPED, environ={})

    assert loaded.warnings == ()
    assert [source.source_id for source in loaded.config.owned_sources] == [
        "firms_viirs_snpp",
        "firms_modis",
        "noaa_stations_california",
        "noaa_alerts_california",
    ]
    assert loaded.config.state_dir == SHIPPED.parent / ".wildfire" / "state"


def test_the_shipped_file_in_production_asks_for_its_secrets_by_name() -> None:
    environ = {
        "WILDFIRE_ENV": "production",
        "FIRMS_MAP_KEY": "demo",
        "KAFKA_SASL_USERNAME": "ingest",
        "KAFKA_SASL_PASSWORD": "demo",
        "KAFKA_BOOTSTRAP_SERVERS": "k1:9093,k2:9093,k3:9093",
    }

    config = load(SHIPPED, environ=environ).config

    kafka = build.kafka_settings(config)
    assert kafka.bootstrap_servers == "k1:9093,k2:9093,k3:9093"
    assert kafka.security["security.protocol"] == "SASL_SSL"
    assert kafka.secrets["sasl.password"].reveal() == "demo"
    assert kafka.environment == "production"
    assert config.sources["firms_modis"].custom_params.model_dump()["feed"] == "api"


def test_the_shipped_rules_are_the_default_rules() -> None:
    shipped = load(SHIPPED, environ={}).config.topic_rules

    assert shipped.content == DEFAULT_CONTENT
    assert shipped.patterns == DEFAULT_PATTERNS


def test_the_earlier_example_loads_as_it_is(tmp_path: Path) -> None:
    loaded = written(EARLIER, tmp_path)

    config = loaded.config
    owned = {source.source_id for source in config.owned_sources}
    assert owned >= {"firms_viirs_conus", "noaa_alerts_california"}
    firms = build.firms_settings(config.sources["firms_viirs_conus"])
    assert (firms.product, firms.area) == ("VIIRS_SNPP_NRT", "-125,24.5,-66.5,49.5")
    assert config.sources["purpleair_california"].source_type == "purpleair"
    assert config.sources["noaa_alerts_california"].source_type == "noaa_alerts"
    assert config.sources["iot_wildfire_sensors"].source_type == "iot_sensor"


def test_what_the_earlier_example_says_without_effect_is_named(tmp_path: Path) -> None:
    found = rules(written(EARLIER, tmp_path))

    assert found >= {
        ("no_effect", "throttling.adjustment_factor"),
        ("no_effect", "throttling.window_size_seconds"),
        ("no_effect", "throttling.metric_sample_size"),
        ("no_effect", "monitoring"),
        ("no_effect", "logging"),
        ("no_effect", "health_check.endpoints"),
        ("no_effect", "reliability.dlq_retry_attempts"),
        ("no_effect", "performance.max_concurrent_streams"),
        ("not_built", "sources.purpleair_california"),
        ("no_source", "custom_topic_mappings.emergency_alert"),
        ("no_source", "priority_sources[1]"),
        ("cache_ttl", "sources.noaa_stations_california.cache_ttl_seconds"),
    }


def test_the_specification_s_example_loads_with_a_warning_of_its_ttl(tmp_path: Path) -> None:
    loaded = written(SPECIFICATION, tmp_path, {})

    source = loaded.config.sources["noaa_stations_california"]
    assert source.enabled
    assert build.gather_settings(loaded.config, source.source_id) == build.GatherSettings(
        records=100, seconds=5.0
    )
    assert ("cache_ttl", "sources.noaa_stations_california.cache_ttl_seconds") in rules(loaded)


def test_json_says_the_same_as_yaml(tmp_path: Path) -> None:
    config = written(EARLIER, tmp_path).config
    data = config.model_dump(mode="json", exclude_unset=True, exclude={"environment", "state_dir"})
    data["sources"]["firms_viirs_conus"]["custom_params"].pop("map_key")
    (tmp_path / "c.json").write_text(json.dumps(data, indent=1))

    again = load(tmp_path / "c.json", environ={"FIRMS_MAP_KEY": "demo"}).config

    assert again.model_copy(update={"environment": {}}) == config.model_copy(
        update={"environment": {}}
    )


@pytest.mark.parametrize(
    ("name", "servers", "enabled", "target", "queue"),
    [
        (None, "localhost:9092", True, 1000, 10_000),
        ("development", "localhost:9092", False, 1000, 10_000),
        ("staging", "staging-kafka:9092", True, 2000, 10_000),
        ("production", "kafka1:9092,kafka2:9092,kafka3:9092", True, 1000, 20_000),
    ],
)
def test_the_environment_s_overlay_is_merged(
    name: str | None, servers: str, enabled: bool, target: int, queue: int, tmp_path: Path
) -> None:
    environ = {"FIRMS_MAP_KEY": "demo"} | ({"WILDFIRE_ENV": name} if name else {})

    config = written(EARLIER, tmp_path, environ).config

    assert config.kafka.bootstrap_servers == servers
    assert config.throttling.enabled is enabled
    assert config.throttling.target_consumer_lag == target
    assert config.queue_max_size == queue
    assert config.kafka.client_id == "wildfire-stream-manager"


def test_deployment_variables_stand_above_the_file(tmp_path: Path) -> None:
    environ = {
        "FIRMS_MAP_KEY": "demo",
        "KAFKA_BOOTSTRAP_SERVERS": "low:1",
        "WILDFIRE_KAFKA_BOOTSTRAP_SERVERS": "high:2",
        "WILDFIRE_STATE_DIR": "elsewhere",
        "WILDFIRE_INSTANCE": "a",
    }
    text = EARLIER.replace(
        "    enabled: true\n    topic: wildfire-nasa", "    topic: wildfire-nasa"
    )

    config = written(text, tmp_path, environ).config

    assert config.kafka.bootstrap_servers == "high:2"
    assert config.state_dir == tmp_path / "elsewhere"
    assert config.instance == "a"
    assert config.owned_sources == ()


def test_an_instance_owns_the_sources_that_name_it(tmp_path: Path) -> None:
    text = """
sources:
  one: {source_type: nasa_firms, instance: a, custom_params: {product: MODIS_NRT}}
  two: {source_type: nasa_firms, instance: b}
  three: {source_type: nasa_firms, custom_params: {product: VIIRS_NOAA20_NRT}}
"""
    environ = {"FIRMS_MAP_KEY": "demo", "WILDFIRE_INSTANCE": "a"}

    loaded = written(text, tmp_path, environ)

    assert [source.source_id for source in loaded.config.owned_sources] == ["one"]
    assert ("no_instance", "sources.three") in rules(loaded)


def test_wildfire_config_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("queue_max_size: 7\n")

    assert load(environ={"WILDFIRE_CONFIG": str(path)}).config.queue_max_size == 7


def test_without_rules_the_default_ones_lead_to_declared_topics_only(tmp_path: Path) -> None:
    routing = build.routing_settings(written(EARLIER, tmp_path).config)

    assert route(routing, "firms_modis_terra") == "wildfire-nasa-firms"
    assert route(routing, "noaa_stations_x") == "wildfire-weather-data"
    assert route(routing, "emergency_alert") == "wildfire-default"


@pytest.mark.parametrize(
    ("source_id", "topic"),
    [
        ("firms_viirs_noaa20", "wildfire-nasa-firms"),
        ("landsat_nrt", "wildfire-nasa-firms"),
        ("firesat_detections", "wildfire-nasa-firms"),
        ("noaa_stations_current", "wildfire-weather-stations"),
        ("noaa_alerts_active", "wildfire-weather-alerts"),
        ("noaa_gridpoints_forecast", "wildfire-weather-bulk"),
        ("noaa_other", "wildfire-weather-data"),
        ("wx_era5_land", "wildfire-weather-bulk"),
        ("wx_station_metar", "wildfire-weather-data"),
        ("iot_dynamic_7", "wildfire-iot-sensors"),
        ("iot_wildfire_sensors", "wildfire-iot-sensors"),
        ("purpleair_oregon", "wildfire-sensor-data"),
        ("airnow_california", "wildfire-sensor-data"),
        ("sat_landsat_thermal", "wildfire-satellite-data"),
        ("emergency_alert", "wildfire-alerts-generated"),
        ("evacuation_alerts", "wildfire-alerts-generated"),
        ("iot_gas_warning", "wildfire-alerts-generated"),
        ("unknown_thing", "wildfire-default"),
    ],
)
def test_the_shipped_patterns_send_each_known_id_to_its_topic(source_id: str, topic: str) -> None:
    routing = build.routing_settings(load(SHIPPED, environ={}).config)

    assert route(routing, source_id) == topic


def test_a_rules_block_under_topics_means_topic_rules(tmp_path: Path) -> None:
    text = "topics:\n  t: {}\n  rules:\n    patterns:\n      - {pattern: '^a', topic: t}\n"

    config = written(text, tmp_path).config

    assert list(config.topics) == ["t"]
    assert [rule.topic for rule in config.topic_rules.patterns] == ["t"]


def test_a_product_that_is_not_built_loads_as_disabled(tmp_path: Path) -> None:
    text = "sources:\n  f: {source_type: nasa_firms, custom_params: {product: MODIS_SP}}\n"

    loaded = written(text, tmp_path, {})

    assert not loaded.config.sources["f"].enabled
    assert ("not_built", "sources.f") in rules(loaded)


def test_priorities_become_lanes(tmp_path: Path) -> None:
    config = written(EARLIER, tmp_path).config

    assert build.lane(config, "firms_viirs_conus") is Lane.HIGH
    assert build.lane(config, "noaa_alerts_california") is Lane.CRITICAL
    assert build.lane(config, "purpleair_california") is Lane.NORMAL


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    assert written(EARLIER, tmp_path) == written(EARLIER, tmp_path)
