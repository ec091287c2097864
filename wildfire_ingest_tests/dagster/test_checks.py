"""Asset checks: what a run, a sensor and a person's click tell Dagster of a source."""

from typing import Any

import dagster as dg
import pytest

from wildfire_ingest.config import build
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.observe.checks import BOOKS, DEAD_LETTERS, LAG, NAMES, SILENCE
from wildfire_ingest.orchestration import checks, translator
from wildfire_ingest.orchestration.resources import ThrottlerResource
from wildfire_ingest.testing import FakeLag
from wildfire_ingest_tests.dagster.conftest import document

KEY = dg.AssetKey(["wildfire", "nasa_firms", "firms_test"])
TOPIC = "wildfire-nasa-firms"
BOOKS_OF_BAD_ROWS = Ledger(fetched=100, accepted=50, rejected=50, published=100, dead=50)


def summary(**changes):
    ledger = changes.pop("ledger", Ledger(fetched=30, accepted=30, published=30))
    return RunSummary(
        source_id="firms_test", ending="running", ledger=ledger, life=ledger, **changes
    )


@pytest.fixture
def config(configured):
    return configured(document(throttling={"consumer_groups": {TOPIC: ["readers"]}}))


@pytest.fixture
def source(config):
    return config.sources["firms_test"]


def latest(instance, name) -> Any:
    """What the UI shows of a check."""
    key = dg.AssetCheckKey(KEY, name)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    event = record.event.dagster_event if record.event else None
    return event.event_specific_data if event else None


def logs_bad_rows(context, config, source):
    answers = checks.answers_of(summary(ledger=BOOKS_OF_BAD_ROWS), config, source)
    for evaluation in checks.evaluations(source, answers):
        context.log_event(evaluation)


def test_a_source_has_its_four_checks_in_the_definitions(config, source):
    definition = checks.source_checks(config, source)

    defs = dg.Definitions(
        assets=[translator.source_spec(config, source)],
        asset_checks=[definition],
        resources={"throttler": ThrottlerResource.of(config)},
    )
    dg.Definitions.validate_loadable(defs)
    keys = defs.resolve_asset_graph().asset_check_keys

    assert {key.name for key in keys} == set(NAMES)
    assert {key.asset_key for key in keys} == {KEY}


@pytest.mark.parametrize("kind", ["asset step", "plain op"])
def test_a_run_that_logs_evaluations_is_what_the_check_shows(config, source, kind):
    @dg.multi_asset(name="run_it", specs=[translator.source_spec(config, source)])
    def step(context: dg.AssetExecutionContext):
        logs_bad_rows(context, config, source)
        yield dg.MaterializeResult(asset_key=KEY)

    @dg.op(out=dg.Out(dg.Nothing))
    def plain(context: dg.OpExecutionContext):
        logs_bad_rows(context, config, source)

    @dg.job(executor_def=dg.in_process_executor)
    def plain_job():
        plain()

    with dg.DagsterInstance.ephemeral() as instance:
        if kind == "asset step":
            result = dg.materialize(
                [step, checks.source_checks(config, source)],
                instance=instance,
                selection=dg.AssetSelection.assets(KEY).without_checks(),
                resources={"throttler": ThrottlerResource.of(config)},
            )
        else:
            result = plain_job.execute_in_process(instance=instance)
        shown = {name: latest(instance, name) for name in NAMES}

    assert result.success
    assert {name: one.passed for name, one in shown.items()} == {
        DEAD_LETTERS: False,
        LAG: True,
        SILENCE: True,
        BOOKS: True,
    }
    assert shown[DEAD_LETTERS].severity is dg.AssetCheckSeverity.ERROR
    assert "50 of 100 rows" in shown[DEAD_LETTERS].description


def test_a_sensor_reports_evaluations_without_a_run(config, source):
    answers = checks.answers_of(summary(ledger=BOOKS_OF_BAD_ROWS), config, source)

    @dg.sensor(target="*")
    def tick(context: dg.SensorEvaluationContext):
        return dg.SensorResult(asset_events=checks.evaluations(source, answers))

    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(dg.build_sensor_context(instance=instance))
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
        shown = latest(instance, DEAD_LETTERS)

    assert shown is not None
    assert shown.passed is False


class Lagging(ThrottlerResource):
    """A throttler whose consumers are far behind."""

    def lag(self, config=None):
        return FakeLag(lag=9_999)


def run_by_hand(config, source, instance):
    return dg.materialize(
        [translator.source_spec(config, source), checks.source_checks(config, source)],
        instance=instance,
        selection=dg.AssetSelection.checks_for_assets(KEY),
        resources={"throttler": Lagging.of(config)},
    )


def spool_of(config):
    return Spool(build.spool_settings(config, "firms_test", window_s=8 * 86_400))


def test_a_person_starts_the_checks_and_sees_the_spool_and_the_lag(config, source):
    spool = spool_of(config)
    spool.append([], b"1", Ledger(fetched=100, accepted=50, rejected=30), 1)
    spool.close()

    with dg.DagsterInstance.ephemeral() as instance:
        result = run_by_hand(config, source, instance)
        shown = {name: latest(instance, name) for name in NAMES}

    assert result.success
    assert {name: one.passed for name, one in shown.items()} == {
        DEAD_LETTERS: False,
        LAG: False,
        SILENCE: True,
        BOOKS: False,
    }
    assert "9,999 records behind" in shown[LAG].description


def test_checks_of_a_source_that_never_ran_pass_and_say_so(config, source):
    with dg.DagsterInstance.ephemeral() as instance:
        run_by_hand(config, source, instance)
        shown = latest(instance, BOOKS)

    assert shown.passed
    assert "has not run here" in shown.description


def test_checks_of_a_damaged_spool_fail_and_say_so(config, source):
    spool_of(config).close()
    path = config.state_dir / "firms_test.db"
    path.write_bytes(b"no database at all" * 100)

    with dg.DagsterInstance.ephemeral() as instance:
        run_by_hand(config, source, instance)
        shown = latest(instance, DEAD_LETTERS)

    assert not shown.passed
    assert "cannot be read" in shown.description
