"""What is shown is what is: health, numbers, times."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from wildfire_ingest.cli.main import cli
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.delivery.sink import KafkaSink
from wildfire_ingest.errors import BrokerUnavailable
from wildfire_ingest.testing import TOPIC, FakeClock, FakeKafka, FakeSource, make_engine
from wildfire_ingest_tests.defects.rows import MAP_KEY, answer, firms
from wildfire_ingest_tests.engine.lines import lines
from wildfire_ingest_tests.fetch.loopback import Server, reply


def test_defect_35_a_broker_that_is_away_is_not_called_reachable() -> None:
    sink = KafkaSink(KafkaSettings(bootstrap_servers="127.0.0.1:1"), "s", "owner", SystemClock())

    reachable = sink.reachable()
    with pytest.raises(BrokerUnavailable):
        sink.inspect(0)
    sink.close()

    assert reachable is False


def test_defect_36_numbers_are_counted_and_nothing_counts_before_kafka_has_it(
    tmp_path: Path,
) -> None:
    with make_engine(FakeSource(), [lines(7)], tmp_path, give_up_after_s=10.0) as bench:
        bench.run_once()
        bench.api.reply_with(lines(5, 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bench.kafka, "failure", lambda: _gone(bench.kafka))
            away = bench.run_once()
        bench.kafka.go_away(0)
        back = bench.engine().deliver_pending()

    assert (away.ledger.fetched, away.ledger.published, away.ledger.pending) == (5, 0, 5)
    assert (away.topics, away.delivery_failures > 0) == ({}, True)
    assert (back.ledger.fetched, back.ledger.published, back.topics) == (0, 5, {TOPIC: 5})


def _gone(kafka: FakeKafka) -> BrokerUnavailable:
    kafka.go_away(10**9)
    return BrokerUnavailable("the broker was killed")


def test_defect_37_looking_at_the_state_asks_no_api(server: Server, tmp_path: Path) -> None:
    server.answers(reply(answer().encode()))
    config = tmp_path / "stream_config.json"
    source = {"source_type": "nasa_firms", "base_url": server.url}
    config.write_text(json.dumps({"state_dir": "state", "sources": {"a": source, "b": source}}))

    command = ["--config", str(config), "status", "--json"]
    found = CliRunner().invoke(cli, command, env={"FIRMS_MAP_KEY": MAP_KEY, "WILDFIRE_ENV": None})

    assert found.exit_code == 0, found.output
    assert [json.loads(one)["source_id"] for one in found.stdout.splitlines()] == ["a", "b"]
    assert server.requests == []


@pytest.fixture
def in_california() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/Los_Angeles"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("in_california")
def test_defect_47_times_are_utc_and_seen_is_apart_from_taken_in(tmp_path: Path) -> None:
    """01:30 of 2025-11-02 came twice in California, an hour apart."""
    at = "50.1,-120.79,330.7,0.4,0.4,2025-11-02,{},N,VIIRS,n,2.0NRT,288,3.59,D"
    body = answer(at.format("830"), at.format("930"))
    clock = FakeClock(start_us=1_762_081_200_000_000)  # 2025-11-02T11:00:00Z

    with make_engine(firms(), [body], tmp_path, clock=clock) as bench:
        bench.run_once()
        values = [m.json() for m in bench.kafka.visible(TOPIC)]

    assert [v["observed_at"] for v in values] == ["2025-11-02T08:30:00Z", "2025-11-02T09:30:00Z"]
    assert {v["ingested_at"][:13] for v in values} == {"2025-11-02T11"}
    assert len({v["id"] for v in values}) == 2
