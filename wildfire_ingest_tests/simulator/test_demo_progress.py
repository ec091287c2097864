"""Which modes have brought data, how runs stand, how fast it goes."""

import pytest

from wildfire_ingest.simulator.dagster_api import Run
from wildfire_ingest.simulator.demo_progress import FIRST_WAIT_S, Firsts, Pace, last_run
from wildfire_ingest.simulator.demo_sources import SOURCES


def test_a_mode_has_come_with_the_first_of_its_sources():
    firsts = Firsts(SOURCES, 0.0)

    came = firsts.look(lambda one: one.source_id == "firms_modis", 10.0)

    assert came == ["batch"]
    assert firsts.missing == ["real_time", "continuous_streaming"]
    assert firsts.last_s is None


def test_the_time_counts_from_the_last_mode_that_came():
    firsts = Firsts(SOURCES, 0.0)
    firsts.look(lambda one: one.mode == "real_time", 5.0)

    assert firsts.look(lambda _: True, 9.0) == ["batch", "continuous_streaming"]

    assert firsts.missing == []
    assert firsts.last_s == 9.0


def test_a_mode_that_has_come_is_not_asked_about_again():
    firsts = Firsts(SOURCES, 0.0)
    firsts.look(lambda one: one.mode == "batch", 5.0)
    asked = []

    def is_materialized(source):
        asked.append(source.mode)
        return False

    firsts.look(is_materialized, 9.0)

    assert asked == ["real_time", "continuous_streaming"]


def test_a_mode_that_brings_nothing_in_time_is_named():
    firsts = Firsts(SOURCES, 100.0)
    firsts.look(lambda one: one.mode == "batch", 110.0)

    assert firsts.complaint(100.0 + FIRST_WAIT_S) == ""
    assert firsts.complaint(101.0 + FIRST_WAIT_S) == (
        "no materialization of real_time, continuous_streaming within 180 s"
    )


def test_where_all_modes_have_come_there_is_no_complaint_ever():
    firsts = Firsts(SOURCES, 100.0)
    firsts.look(lambda _: True, 110.0)

    assert firsts.complaint(10_000.0) == ""


def test_a_pace_is_known_from_the_second_look_on():
    pace = Pace()

    assert pace.note(100.0, 40) is None
    assert pace.note(102.0, 50) == 5.0


def test_a_pace_is_of_the_last_minute():
    pace = Pace()
    told = {now_s: pace.note(float(now_s), min(now_s, 300) * 10) for now_s in range(0, 602, 2)}

    assert (told[300], told[330], told[400]) == (10.0, 5.0, 0.0)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (Run("1", "job", "STARTED", 90.0, None), "started"),
        (Run("1", "job", "SUCCESS", 90.0, 104.0), "success 6 s ago"),
        (Run("1", "job", "FAILURE", None, 111.0), "failure 0 s ago"),
        (Run("1", "other", "STARTED", 90.0, None), "none yet"),
    ],
)
def test_the_last_run_is_told_with_its_age(run, words):
    assert last_run([run, Run("0", "job2", "SUCCESS", 1.0, 2.0)], "job", 110.0) == words


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (Run("1", "job", "STARTED", 90.0, None), "streaming 20 s"),
        (Run("1", "job", "STARTING", None, None), "starting"),
        (Run("1", "job", "CANCELED", 90.0, 104.0), "canceled 6 s ago"),
    ],
)
def test_of_a_long_run_is_told_how_long_it_has_been_streaming(run, words):
    assert last_run([run], "job", 110.0, streams=True) == words
