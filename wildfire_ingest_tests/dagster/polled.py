"""A real_time source under test: its sensor and its job, real HTTP, a fake Kafka."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.orchestration import batch
from wildfire_ingest.orchestration.realtime import poll_sensor
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.simulator.server import Reply
from wildfire_ingest.testing import FakeKafka, FakeLag, FakeSink
from wildfire_ingest_tests.dagster.conftest import document

SOURCE, TOPIC = "firms_test", "wildfire-nasa-firms"
KEY = dg.AssetKey(["wildfire", "nasa_firms", SOURCE])


class NewsSite:
    """An API whose answer a test sets; `asked` counts the requests for it."""

    def __init__(self, body: str, *, has_validators: bool = True) -> None:
        self.body = body
        self.asked = 0
        self.in_full = 0
        self._has_validators = has_validators

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        del path, now_us
        self.asked += 1
        body = self.body.encode()
        stamp = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'} if self._has_validators else {}
        if stamp and headers.get("if-none-match") == stamp["ETag"]:
            return Reply(b"", 304, stamp, is_data=True)
        self.in_full += 1
        return Reply(body, headers=stamp, is_data=True)

    def control(self, command: str, body: bytes) -> Reply | None:
        del command, body
        return None

    def state(self) -> dict[str, Any]:
        return {"asked": self.asked}


def polled_document(url: str, execution: str, **changes: Any) -> dict[str, Any]:
    """One real_time source that asks there."""
    source = {
        **document()["sources"][SOURCE],
        "base_url": url,
        "rate_limit_per_minute": 60_000,
        "ingestion": {
            "mode": "real_time",
            "polling_interval_seconds": 30,
            "execution": execution,
        },
        **changes,
    }
    return document(sources={SOURCE: source})


class Polled:
    """The source in Dagster: `tick()` evaluates its sensor, `run()` executes its job."""

    def __init__(self, config: StreamConfig, instance: dg.DagsterInstance) -> None:
        self.config = config
        self.instance = instance
        self.kafka = FakeKafka()
        self.cursor: str | None = None
        self.keys: list[str | None] = []
        source = config.sources[SOURCE]
        job = batch.source_job(config, source)
        self._sensor = poll_sensor(config, source, job)
        self.definitions = dg.Definitions(
            assets=[batch.source_asset(config, source)],
            jobs=[job],
            sensors=[self._sensor],
            resources=self.resources(),
            executor=dg.in_process_executor,
        )
        self._repository = self.definitions.get_repository_def()

    @property
    def sensor(self) -> dg.SensorDefinition:
        return self._sensor

    def tick(self, *, is_preview: bool = False) -> Any:  # Dagster's class is private
        """One tick; its cursor is the next one's."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self._repository,
            resources=self.resources(),
        ) as context:
            done = self._sensor.evaluate_tick(context)
        if not is_preview:
            self.cursor = done.cursor
            self.keys += [request.run_key for request in done.run_requests or []]
        return done

    def run(self) -> dg.ExecuteInProcessResult:
        """What the daemon does with a run request."""
        job = self.definitions.resolve_job_def(f"ingest_{SOURCE}")
        return job.execute_in_process(instance=self.instance, raise_on_error=False)

    def broker_goes(self) -> None:
        """Away, until it comes back."""
        self.kafka.go_away(10**9)

    def broker_comes(self) -> None:
        self.kafka.go_away(0)

    @property
    def sent(self) -> int:
        """Records that a consumer sees."""
        return len(self.kafka.visible(TOPIC))

    def resources(self) -> dict[str, Any]:
        polled = self

        class TestKafka(KafkaProducerResource):
            def sink(self, source_id: str, config: StreamConfig | None = None) -> FakeSink:
                del config
                return FakeSink(polled.kafka, source_id)

        class TestThrottler(ThrottlerResource):
            def lag(self, config: StreamConfig | None = None) -> FakeLag:
                del config
                return FakeLag()

        return {
            "api": ApiClientResource.of(self.config),
            "kafka": TestKafka(),
            "throttler": TestThrottler(),
        }


Configured = Callable[[dict[str, Any]], StreamConfig]
