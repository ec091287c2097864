"""A run's process: certainly gone, or not known to be."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.orchestration import batch, processes


def tag_of_another(code="pass"):
    """The tag of a process that ran this package's own code, and ended."""
    script = (
        f"from wildfire_ingest.orchestration import processes as p; print(p.own_process()); {code}"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_a_process_that_lives_is_not_gone():
    assert not processes.is_gone(processes.own_process())


def test_a_process_that_ended_is_gone():
    assert processes.is_gone(tag_of_another())


def test_another_process_with_the_same_number_is_not_taken_for_it():
    place, _, _ = str(processes.own_process()).rsplit(":", 2)

    assert processes.is_gone(f"{place}:{os.getpid()}:1")


@pytest.mark.parametrize(
    "tag", [None, "", "nonsense", "elsewhere:1:1", "::", "a:b:c", f"elsewhere/1:{2**80}:1"]
)
def test_what_cannot_be_known_from_here_is_not_gone(tag):
    assert not processes.is_gone(tag)


@dg.op
def nothing():
    """An op."""


@dg.job
def ingest():
    """A job."""
    nothing()


def started_run(instance):
    return instance.create_run_for_job(
        ingest, run_id=make_new_run_id(), status=dg.DagsterRunStatus.STARTED
    )


def test_a_run_that_died_before_it_named_its_process_is_lost_after_a_minute():
    assert not processes.is_lost("r1", {}, 1000.0, 1059.0)
    assert processes.is_lost("r1", {}, 1000.0, 1061.0)


def test_a_run_that_has_not_begun_is_not_lost():
    assert not processes.is_lost("r1", {}, None, 1e9)


def test_a_run_that_named_a_living_process_is_not_lost_however_old():
    with dg.instance_for_test() as instance:
        run = started_run(instance)
        processes.name_process(instance, run.run_id)
        found = instance.get_run_by_id(run.run_id)

    assert found is not None
    assert not processes.is_lost(run.run_id, found.tags, 0.0, 1e9)


def test_the_tag_that_a_reexecution_takes_over_from_its_dead_parent_says_nothing_of_it():
    tags = {processes.PROCESS_TAG: f"parent {tag_of_another()}"}

    assert processes.is_lost("parent", tags, 1000.0, 1001.0)
    assert not processes.is_lost("child", tags, None, 1001.0)
    assert not processes.is_lost("child", tags, 1000.0, 1059.0)


def test_runs_that_fail_again_and_again_are_started_ever_more_rarely():
    with dg.instance_for_test() as instance:
        now_us = SystemClock().now_us()
        waits = []
        for _ in range(4):
            instance.report_run_failed(started_run(instance))
            waits.append(batch.wait_after_failures_s(instance, "ingest", now_us))

        assert waits[0] == 0.0
        assert waits[1:] == pytest.approx([10.0, 20.0, 40.0], abs=5.0)
        started_run(instance)
        assert batch.wait_after_failures_s(instance, "ingest", now_us) == 0.0


def test_a_run_that_lost_its_process_keeps_no_tick_from_starting_another():
    with dg.instance_for_test() as instance:
        run = started_run(instance)
        now_us = SystemClock().now_us()
        assert batch.unfinished_run(instance, "ingest", now_us) == run.run_id

        tag = f"{run.run_id} {tag_of_another()}"
        instance.add_run_tags(run.run_id, {processes.PROCESS_TAG: tag})

        assert batch.unfinished_run(instance, "ingest", now_us) is None
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.FAILURE
