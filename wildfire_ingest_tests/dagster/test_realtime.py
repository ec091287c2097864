"""A poll sensor's ticks against a server on loopback: what they ask, start, deliver and say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import replace

import dagster as dg
import pytest

from wildfire_ingest.config import build
from wildfire_ingest.intake.pause import pause, resume
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.observe.spool_view import view
from wildfire_ingest.orchestration import realtime, tick
from wildfire_ingest.orchestration.source_engine import source_engine
from wildfire_ingest.simulator.faults import Fault
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest.testing import FakeKafka, FakeSink
from wildfire_ingest_tests.dagster.polled import (
    KEY,
    SOURCE,
    Configured,
    NewsSite,
    Polled,
    polled_document,
)
from wildfire_ingest_tests.dagster.test_ingestion import answer, count

DOWN = (Fault(kind="html", rate=1.0),)
"""A page in the answer's place: no reason to ask again at once."""
Make = Callable[..., Polled]


@pytest.fixture(params=["with validators", "without validators"])
def site(request: pytest.FixtureRequest) -> NewsSite:
    return NewsSite(answer(39.1, 39.2), has_validators=request.param == "with validators")


@pytest.fixture
def server(site: NewsSite) -> Iterator[SimulatorServer]:
    one = SimulatorServer(site)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def make(server: SimulatorServer, configured: Configured) -> Iterator[Make]:
    with dg.DagsterInstance.ephemeral() as instance:

        def made(execution: str = "run", **changes: object) -> Polled:
            document = polled_document(server.base_url, execution, **changes)
            return Polled(configured(document), instance)

        yield made


@pytest.fixture
def polled(make: Make) -> Polled:
    return make()


@pytest.fixture
def inline(make: Make) -> Polled:
    return make("inline")


def observations(done):
    return [event for event in done.asset_events if isinstance(event, dg.AssetObservation)]


def materializations(done):
    """Of the source, not of its topic."""
    return [
        event
        for event in done.asset_events
        if isinstance(event, dg.AssetMaterialization) and event.asset_key == KEY
    ]


def test_the_sensor_is_on_from_the_start_and_ticks_at_the_polling_interval(polled):
    assert polled.sensor.name == "poll_firms_test"
    assert polled.sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert polled.sensor.minimum_interval_seconds == 30
    dg.Definitions.validate_loadable(polled.definitions)


def test_news_starts_a_run_that_takes_over_what_the_tick_was_answered(polled, site):
    (request,) = polled.tick().run_requests
    result = polled.run()

    assert result.success
    assert (polled.sent, site.asked) == (2, 1)
    assert request.tags["wildfire/source"] == SOURCE
    assert request.run_config == {}


def test_without_news_a_tick_starts_nothing(polled, site):
    polled.tick()
    polled.run()

    done = [polled.tick() for _ in range(3)]

    assert [one.skip_message for one in done] == ["nothing new"] * 3
    assert [one.run_requests for one in done] == [[]] * 3
    assert site.asked == 4


def test_new_data_starts_another_run(polled, site):
    polled.tick()
    polled.run()
    polled.tick()
    site.body = answer(39.1, 39.2, 39.3)

    polled.tick()
    polled.run()

    assert (polled.sent, site.asked) == (3, 3)
    assert len(set(polled.keys)) == 2
    assert polled.tick().skip_message == "nothing new"


def test_a_tick_that_is_evaluated_again_asks_for_the_same_run(polled):
    first = polled.tick(is_preview=True).run_requests[0].run_key

    assert polled.tick().run_requests[0].run_key == first


def test_news_that_no_run_took_in_asks_for_another_run(polled):
    polled.tick()
    polled.tick()

    assert len(polled.keys) == len(set(polled.keys)) == 2


def test_a_preview_leaves_the_spool_alone_and_takes_nothing_from_a_run(polled, site):
    polled.tick(is_preview=True)

    assert view(polled.config.state_dir, SOURCE) is None
    polled.tick()
    polled.run()
    assert polled.sent == 2


def test_what_a_failed_run_left_in_the_spool_starts_a_run_without_asking(polled, site):
    polled.run()
    site.body = answer(39.3)
    polled.broker_goes()
    run_in_vain(polled)
    asked = site.asked

    (request,) = polled.tick().run_requests

    assert site.asked == asked
    assert request.run_key
    polled.broker_comes()
    assert polled.run().success
    assert polled.sent == 3


def run_in_vain(polled):
    """A run that spools and cannot deliver."""
    resources = polled.resources().values()
    with source_engine(polled.config, SOURCE, *resources, tune=no_patience) as engine:
        engine.run_once()
    known = view(polled.config.state_dir, SOURCE)
    assert known is not None
    assert known.pending


def no_patience(settings):
    return replace(settings, give_up_after_s=0.2, drain_s=0.1)


def test_a_lost_spool_is_told_everything_again(polled):
    polled.tick()
    polled.run()
    for file in polled.config.state_dir.glob(f"{SOURCE}.db*"):
        file.unlink()
    polled.kafka = FakeKafka()

    assert polled.tick().run_requests
    polled.run()

    assert polled.sent == 2


def test_a_damaged_spool_is_set_aside_by_a_run(polled):
    polled.config.state_dir.mkdir(parents=True)
    (polled.config.state_dir / f"{SOURCE}.db").write_bytes(b"no database" * 1000)

    assert polled.tick().run_requests
    assert polled.run().success
    assert polled.sent == 2


@pytest.mark.parametrize("execution", ["run", "inline"])
def test_a_paused_source_is_not_asked(make, site, execution):
    polled = make(execution)
    pause(polled.config.state_dir, SOURCE, "the broker moves", 1_800_000_000_000_000)

    message = polled.tick().skip_message

    assert "paused since 2027-01-15T08:00:00Z: the broker moves" in message
    assert site.asked == 0
    resume(polled.config.state_dir, SOURCE)
    assert polled.tick().skip_message != message


def test_a_run_that_goes_on_holds_the_tick_back(polled, site):
    job = polled.definitions.resolve_job_def(f"ingest_{SOURCE}")
    run = polled.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)

    assert run.run_id in polled.tick().skip_message
    assert site.asked == 0


@pytest.mark.parametrize("execution", ["run", "inline"])
def test_a_source_that_another_process_runs_is_left_to_it(make, site, execution):
    polled = make(execution)
    spool = Spool(build.spool_settings(polled.config, SOURCE, window_s=86_400))

    message = polled.tick().skip_message
    spool.close()

    assert message.startswith("the source runs already")
    assert site.asked == 0


@pytest.mark.parametrize("execution", ["run", "inline"])
def test_an_api_that_is_down_is_told_ever_more_rarely(make, server, execution):
    server.faults.replace(DOWN)
    polled = make(execution)

    done = [polled.tick() for _ in range(9)]

    assert all("HTML" in one.skip_message for one in done)
    assert not any(one.run_requests for one in done)
    told = [n for n, one in enumerate(done, start=1) if observations(one)]
    assert told == [1, 2, 4, 8]
    observation = observations(done[7])[0]
    assert observation.asset_key == KEY
    assert count(observation, "failed_polls") == 4
    assert sum(count(observations(done[n - 1])[0], "failed_polls") for n in told) == 8
    assert sum(count(observations(done[n - 1])[0], "api_errors") for n in told) == 8
    assert "HTML" in count(observations(done[0])[0], "stop_reason")


def test_an_api_that_comes_back_is_asked_as_before(make, server):
    server.faults.replace(DOWN)
    polled = make()
    polled.tick()
    server.faults.replace(())

    assert polled.tick().run_requests
    server.faults.replace(DOWN)
    assert observations(polled.tick())


def test_no_secret_is_in_what_a_failed_tick_says(make, server):
    server.faults.replace(DOWN)
    polled = make()

    done = polled.tick()

    said = f"{done.skip_message}{done.asset_events}{done.cursor}"
    assert "feedface" not in said


@pytest.mark.parametrize("execution", ["run", "inline"])
def test_a_slow_api_does_not_hold_the_tick_beyond_its_time(make, server, monkeypatch, execution):
    server.faults.replace((Fault(kind="slow_drip", rate=1.0, bytes_per_s=10),))
    monkeypatch.setattr(tick, "STOP_AFTER_S", 0.3)
    polled = make(execution)
    began = time.monotonic()

    done = polled.tick()

    assert time.monotonic() - began < 2
    assert "stopped" in done.skip_message
    assert observations(done)


def test_the_times_of_a_tick_fit_into_one_another():
    assert realtime.ANSWER_S < tick.STOP_AFTER_S
    assert tick.STOP_AFTER_S + realtime.DRAIN_S < tick.LEAVE_AFTER_S < tick.TICK_S


def test_a_broker_that_freezes_is_left_behind_and_its_ticks_are_skipped(inline, monkeypatch):
    frozen = threading.Event()
    monkeypatch.setattr(FakeSink, "send", lambda *_args: frozen.wait(10) and 0)
    monkeypatch.setattr(tick, "LEAVE_AFTER_S", 0.5)

    done = [inline.tick() for _ in range(2)]
    frozen.set()
    wait([tick._WORK[SOURCE]], timeout=10)

    assert "the delivery goes on" in done[0].skip_message
    assert observations(done[0])
    assert "last tick has not ended" in done[1].skip_message
    assert "last tick" not in inline.tick().skip_message


def test_a_second_tick_of_the_source_ends_at_once(polled, site):
    with tick.alone(SOURCE) as is_alone, tick.alone("another") as is_free:
        assert (is_alone, is_free) == (True, True)
        done = []
        other = threading.Thread(target=lambda: done.append(polled.tick()))
        other.start()
        other.join(5)

        assert "last tick has not ended" in done[0].skip_message
    assert site.asked == 0
    assert polled.tick().run_requests


@pytest.mark.parametrize(
    "cursor",
    ["", "no json", "[]", '{"requested": -1}', '{"failed": 1e400}', "[" * 100_000, "\udc80"],
)
def test_a_sensors_cursor_that_somebody_wrote_over_costs_nothing(polled, cursor):
    polled.cursor = cursor

    assert polled.tick().run_requests
    assert tick.remembered(polled.cursor) == tick.Memory(requested=1)


def test_an_inline_tick_delivers_and_materializes_once(inline, site):
    first, second = inline.tick(), inline.tick()

    (materialization,) = materializations(first)
    assert materialization.asset_key == KEY
    assert count(materialization, "dagster/row_count") == 2
    assert first.skip_message == "2 records delivered in this tick"
    assert (second.skip_message, second.asset_events) == ("nothing new", [])
    assert (inline.sent, site.asked) == (2, 2)
    assert inline.keys == []


def test_an_inline_tick_delivers_only_what_is_new(inline, site):
    inline.tick()
    site.body = answer(39.1, 39.2, 39.3)

    (materialization,) = materializations(inline.tick())

    assert count(materialization, "records_sent") == 1
    assert inline.sent == 3


def test_an_inline_tick_without_a_broker_keeps_the_records_and_says_so(inline, site, monkeypatch):
    monkeypatch.setattr(realtime, "_hurried", no_patience)
    inline.tick()
    site.body = answer(39.3)
    inline.broker_goes()

    done = [inline.tick() for _ in range(2)]

    assert [len(observations(one)) for one in done] == [1, 1]
    assert all("1 records wait in the spool" in one.skip_message for one in done)
    inline.broker_comes()
    assert count(materializations(inline.tick())[0], "records_sent") == 1
    assert inline.sent == 3


def test_an_inline_tick_asks_no_broker_when_nothing_is_new(inline):
    inline.tick()
    inline.broker_goes()

    assert inline.tick().skip_message == "nothing new"
