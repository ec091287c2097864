"""One run of an asset with fakes in the resources' places: what Dagster then knows of it."""

import time
from contextlib import contextmanager

import dagster as dg
import pytest

from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.orchestration import ingestion, source_engine
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.testing import FakeApi, FakeKafka, FakeLag, FakeSink, Reply
from wildfire_ingest_tests.dagster.conftest import document

KEY = dg.AssetKey(["wildfire", "nasa_firms", "firms_test"])
TOPIC_KEY = dg.AssetKey(["kafka", "wildfire-nasa-firms"])
HEADER = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,"
    "version,bright_ti5,frp,daynight"
)


def answer(*latitudes):
    """A VIIRS answer of today with one row a latitude."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    rows = [
        f"{latitude},-120.5,330.1,0.4,0.4,{day},1,N,VIIRS,n,2.0NRT,290.2,5.1,N"
        for latitude in latitudes
    ]
    return "\n".join([HEADER, *rows]) + "\n"


class World:
    """The asset over a fake API and a fake Kafka; a call runs it once."""

    def __init__(self, config):
        self.config = config
        self.kafka = FakeKafka()
        self.asked: list[str] = []
        self.configs: list[StreamConfig] = []
        self.replies: list[Reply] = []

    def __call__(self, *replies, instance=None):
        self.replies = list(replies)
        definitions = build_definitions(self.config, self.resources())
        job = definitions.resolve_job_def("ingest_firms_test")
        return job.execute_in_process(instance=instance, raise_on_error=False)

    def api(self):
        return FakeApi(self.replies)

    def resources(self):
        world = self

        class TestApi(ApiClientResource):
            def client(self, source_id, config=None):
                world.asked.append(source_id)
                return world.api()

        class TestKafka(KafkaProducerResource):
            def sink(self, source_id, config=None):
                world.configs.append(config)
                return FakeSink(world.kafka, source_id)

        class TestThrottler(ThrottlerResource):
            def lag(self, config=None):
                return FakeLag()

        return {
            "api": TestApi(),
            "kafka": TestKafka(),
            "throttler": TestThrottler(max_send_rate=5000.0),
        }


@pytest.fixture
def world(configured):
    return World(configured(document()))


def observations(result):
    return [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.is_asset_observation
    ]


def count(thing, name):
    return thing.metadata[name].value


def test_an_asset_uses_the_resources_a_test_puts_in_place(world):
    result = world(answer(39.1, 39.2))

    assert result.success
    assert world.asked == ["firms_test"]
    assert len(world.kafka.visible("wildfire-nasa-firms")) == 2


def test_a_field_of_a_resource_reaches_the_run(world):
    world(answer(39.1))

    assert [config.throttling.max_send_rate for config in world.configs] == [5000.0]


def test_a_run_that_sent_records_materializes_with_its_counts(world):
    topics, sources = world(answer(39.1, 39.2)).get_asset_materialization_events()

    assert topics.materialization.asset_key == TOPIC_KEY
    materialization = sources.materialization
    assert materialization.asset_key == KEY
    assert count(materialization, "dagster/row_count") == 2
    assert count(materialization, "records_fetched") == 2
    assert count(materialization, "records_sent") == 2
    assert count(materialization, "records_dlq") == 0
    assert count(materialization, "api_calls") == 1
    assert count(materialization, "topic_usage") == {"wildfire-nasa-firms": 2}


def test_a_run_that_sent_nothing_is_an_observation(world):
    world(answer(39.1))

    again = world(answer(39.1))

    assert again.success
    assert again.get_asset_materialization_events() == []
    (observation,) = observations(again)
    assert count(observation, "records_duplicate") == 1


def test_a_failed_poll_fails_the_run_with_its_numbers(world):
    result = world(SourceUnavailable("the API answers 503"))

    assert not result.success
    failure = result.failure_data_for_node("run_firms_test").user_failure_data
    assert "the API answers 503" in failure.description
    assert failure.metadata["failed_polls"].value == 1


def test_a_source_that_runs_already_ends_the_run_in_peace(world):
    from wildfire_ingest.config import build

    spool = Spool(build.spool_settings(world.config, "firms_test", window_s=8 * 86_400))
    try:
        result = world(answer(39.1))
    finally:
        spool.close()

    assert result.success
    assert result.get_asset_materialization_events() == []
    assert count(observations(result)[0], "stop_reason") == "already running"
    assert world.kafka.visible("wildfire-nasa-firms") == []


@contextmanager
def engine_that_ends(monkeypatch, summary):
    """In the engine's place: one that ends so."""

    class Ended:
        def run_once(self, stop):
            return summary

    @contextmanager
    def running(*_args, **_options):
        yield Ended()

    monkeypatch.setattr(source_engine, "running_source", running)
    yield


def summary_of(ending, *, published=0, faults=()):
    ledger = Ledger(published=published, accepted=published, fetched=published)
    return RunSummary(
        source_id="firms_test",
        ending=ending,
        ledger=ledger,
        message=f"because {ending}",
        ledger_faults=faults,
    )


@pytest.mark.parametrize(
    ("ending", "retriable"), [("undelivered", True), ("failed", True), ("superseded", False)]
)
def test_an_ending_decides_whether_a_retry_makes_sense(world, monkeypatch, ending, retriable):
    with engine_that_ends(monkeypatch, summary_of(ending)):
        result = world()

    failure = result.failure_data_for_node("run_firms_test")
    assert f"{ending}: because {ending}" in failure.user_failure_data.description
    assert failure.error.cls_name == "Failure"
    assert _allows_retries(monkeypatch, summary_of(ending)) is retriable


def _allows_retries(monkeypatch, summary):
    with pytest.raises(dg.Failure) as raised:
        ingestion.raise_unless_good(summary)
    return raised.value.allow_retries


def test_what_a_failing_run_has_written_is_still_known(world, monkeypatch):
    with (
        dg.DagsterInstance.ephemeral() as instance,
        engine_that_ends(monkeypatch, summary_of("undelivered", published=7)),
    ):
        result = world(instance=instance)
        event = instance.get_latest_materialization_event(KEY)

    assert not result.success
    assert event is not None
    assert count(event.asset_materialization, "records_sent") == 7


def test_books_that_do_not_close_fail_the_run(world, monkeypatch):
    wrong = summary_of("done", published=3, faults=("fetched 4 rows, 3 of them explained",))

    with engine_that_ends(monkeypatch, wrong):
        result = world()

    failure = result.failure_data_for_node("run_firms_test").user_failure_data
    assert "fetched 4 rows, 3 of them explained" in failure.description


def test_a_resources_fields_change_the_configuration(configured):
    config = configured(document())

    kafka = KafkaProducerResource(bootstrap_servers="other:9092", delivery="at_least_once")
    throttler = ThrottlerResource(max_send_rate=5.0)
    api = ApiClientResource(max_consecutive_failures=3)
    tuned = throttler.applied(kafka.applied(api.applied(config)))

    assert tuned.kafka.bootstrap_servers == "other:9092"
    assert tuned.kafka.delivery == "at_least_once"
    assert tuned.throttling.max_send_rate == 5.0
    assert tuned.reliability.max_consecutive_failures == 3


def test_resources_as_configured_change_nothing(configured):
    config = configured(document(throttling={"target_consumer_lag": 77}))

    for kind in (ApiClientResource, KafkaProducerResource, ThrottlerResource):
        assert kind.of(config).applied(config) == config


def test_a_resource_makes_the_real_parts_of_a_source(configured):
    config = configured(document())

    client = ApiClientResource.of(config).client("firms_test", config)
    sink = KafkaProducerResource.of(config).sink("firms_test", config)
    lag = ThrottlerResource.of(config).lag(config)

    assert isinstance(client, ApiClient)
    assert client.counters.api_calls == 0
    assert sink.epoch == 0
    assert lag.read({}) == {}
    client.close()
    sink.close()
