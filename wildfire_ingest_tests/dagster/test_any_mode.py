"""Every source in every mode: the same rows arrive, whatever starts the polls."""

import dagster as dg
import msgspec
import pytest

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest.testing import FakeKafka, FakeLag, FakeSink
from wildfire_ingest_tests.dagster.conftest import document

CONTACT = "tests (ops@example.invalid)"
PARAMS = {
    "nasa_firms": {"map_key": "${ENV:FIRMS_MAP_KEY}", "area": "world"},
    "noaa_weather": {"state": "CA", "user_agent": CONTACT},
    "noaa_alerts": {"state": "CA", "user_agent": CONTACT},
}
TRUTHS = {"noaa_weather": "observations", "noaa_alerts": "alerts"}
MODES = {
    "batch": {"mode": "batch", "schedule_interval_seconds": 3600},
    "real_time": {"mode": "real_time", "polling_interval_seconds": 60},
    "inline": {"mode": "real_time", "polling_interval_seconds": 30},
    "continuous_streaming": {"mode": "continuous_streaming", "polling_interval_seconds": 60},
}
TOPIC = "anything"


@pytest.fixture(params=sorted(PARAMS))
def source_type(request):
    return request.param


@pytest.fixture
def site(source_type):
    """A world that stands still: one poll has all of it."""
    now_us = SystemClock().now_us()
    begun_us = now_us - 3600 * SECOND_US
    simulator = (
        FirmsSimulator(WorldSettings(rows_per_minute=60.0, keep_s=3600), begun_us)
        if source_type == "nasa_firms"
        else NwsSimulator(NwsWorldSettings(stations=8), begun_us)
    )
    with SimulatorServer(simulator, now_us=lambda: now_us) as url:
        yield simulator, url


class Stand:
    """One source in one mode, over real HTTP and a fake Kafka."""

    def __init__(self, config, instance):
        self.instance, self.kafka = instance, FakeKafka()
        kafka = self.kafka

        class TestKafka(KafkaProducerResource):
            def sink(self, source_id, config=None):
                return FakeSink(kafka, source_id)

        class TestThrottler(ThrottlerResource):
            def lag(self, config=None):
                return FakeLag()

        self.resources = {
            "api": ApiClientResource.of(config),
            "kafka": TestKafka(),
            "throttler": TestThrottler(),
        }
        self.definitions = build_definitions(config, self.resources)

    def execute(self, job, run_config=None):
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=run_config
        )

    def tick(self):
        repository = self.definitions.get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance, repository_def=repository, resources=self.resources
        ) as context:
            return repository.get_sensor_def("poll_any").evaluate_tick(context)

    def start(self, mode):
        """As Dagster starts a source of that mode; the events that the asset then has."""
        if mode == "continuous_streaming":
            options = {"ops": {"stream_any": {"config": {"max_run_seconds": 1.0}}}}
            result = self.execute("continuous_any", options)
        elif mode == "batch":
            result = self.execute("ingest_any")
        else:
            tick = self.tick()
            if mode == "inline":
                return [
                    one for one in tick.asset_events if isinstance(one, dg.AssetMaterialization)
                ]
            assert tick.run_requests
            result = self.execute("ingest_any")
        return [
            event.step_materialization_data.materialization
            for event in result.all_events
            if event.is_step_materialization
        ]


@pytest.fixture
def stand(configured, site, source_type, mode):
    source = {
        "source_type": source_type,
        "topic": TOPIC,
        "base_url": site[1],
        "rate_limit_per_minute": 60_000,
        "cache_ttl_seconds": 20,
        "ingestion": MODES[mode],
        "custom_params": PARAMS[source_type],
    }
    config = configured(document(sources={"any": source}, topics={TOPIC: {"partitions": 2}}))
    with dg.instance_for_test() as instance:
        yield Stand(config, instance)


@pytest.mark.parametrize("mode", MODES)
def test_any_source_runs_in_any_mode(stand, site, source_type, mode):
    materialized = stand.start(mode)

    state = site[0].state()
    truth = state[TRUTHS[source_type]] if source_type in TRUTHS else state
    seen = {msgspec.json.decode(message.value)["id"] for message in stand.kafka.visible(TOPIC)}
    assert len(seen) == truth["distinct_rows"] > 0
    told = [one for one in materialized if one.asset_key.path[0] == "wildfire"]  # not the topic
    assert sum(one.metadata["dagster/row_count"].value for one in told) == len(seen)
