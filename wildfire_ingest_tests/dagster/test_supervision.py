"""What a supervisor does, for every state that a source's runs can be in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.orchestration.supervision import (
    LIVE,
    LONGEST_WAIT_S,
    STALE_AFTER_S,
    STARTED_WITHIN_S,
    Decision,
    RunView,
    decide,
    pause_s,
)

NOW_S = 1_000_000.0
PRINT = "abc"


def run(run_id="r1", status="STARTED", **changes):
    """A run that began a minute ago and gave its last sign of life just now."""
    known = {
        "run_id": run_id,
        "status": status,
        "fingerprint": PRINT,
        "created_s": NOW_S - 70,
        "started_s": NOW_S - 60,
        "heartbeat_s": NOW_S - 1,
    }
    if status not in LIVE:
        known["ended_s"] = NOW_S - 1
    return RunView(**{**known, **changes})


def decided(*runs, **changes):
    return decide(runs, **{"fingerprint": PRINT, "now_s": NOW_S, **changes})


def test_a_source_that_never_ran_is_launched():
    assert decided().action == "launch"


@pytest.mark.parametrize("status", sorted(LIVE))
def test_a_run_that_lives_is_left_alone(status):
    assert decided(run(status=status)).action == "leave"


def test_a_run_that_ended_well_is_followed_by_the_next():
    assert decided(run(status="SUCCESS")).action == "launch"


def test_the_first_failure_is_followed_by_a_launch_at_once():
    assert decided(run(status="FAILURE")).action == "launch"


def test_failures_in_a_row_wait_longer_and_longer():
    failed = [run(f"r{i}", "FAILURE", ended_s=NOW_S - 15) for i in range(3)]

    assert decided(*failed[:2]).action == "launch"
    assert decided(*failed).action == "leave"
    assert decided(*failed, now_s=NOW_S + 10).action == "launch"


def test_a_good_run_in_between_ends_the_row_of_failures():
    good = run("r1", "SUCCESS", started_s=NOW_S - 900)
    failed = [run(f"f{i}", "FAILURE") for i in range(3)]

    assert decided(failed[0], good, *failed[1:]).action == "launch"


def test_runs_that_streamed_for_long_before_they_were_killed_are_followed_at_once():
    killed = [run(f"k{i}", "FAILURE", started_s=NOW_S - LONGEST_WAIT_S - 2) for i in range(6)]

    assert decided(*killed).action == "launch"


def test_runs_that_end_well_but_at_once_do_not_spin():
    """A stream that another process owns ends at once, each time."""
    short = [run(f"r{i}", "SUCCESS", started_s=NOW_S - 3) for i in range(3)]

    assert decided(*short).action == "leave"


def test_a_short_run_that_was_drained_is_followed_at_once():
    short = [run(f"r{i}", "SUCCESS", started_s=NOW_S - 3, is_draining=True) for i in range(3)]

    assert decided(*short).action == "launch"


def test_what_a_person_ended_stays_ended():
    decision = decided(run(status="CANCELED"))

    assert decision.action == "leave"
    assert "ended by hand" in decision.reason


def test_the_sensors_switch_starts_again_what_a_person_ended():
    ended = run(status="CANCELED", ended_s=NOW_S - 30)

    assert decided(ended, switched_on_s=NOW_S - 31).action == "leave"
    assert decided(ended, switched_on_s=NOW_S - 5).action == "launch"


def test_a_new_configuration_starts_again_what_a_person_ended():
    assert decided(run(status="CANCELED", fingerprint="old")).action == "launch"


def test_a_changed_configuration_drains_the_running_stream_once():
    old = run(fingerprint="old")

    assert decided(old) == Decision("drain", decided(old).reason, "r1")
    assert decided(run(fingerprint="old", is_draining=True)).action == "leave"


def test_a_run_that_fell_silent_is_declared_dead():
    early = NOW_S - 9999
    silent = run(heartbeat_s=NOW_S - STALE_AFTER_S - 1, started_s=early, created_s=early)

    assert decided(silent) == Decision("bury", decided(silent).reason, "r1")


def test_a_run_whose_process_is_gone_is_declared_dead_at_once():
    assert decided(run(is_gone=True)).action == "bury"
    assert decided(run(status="CANCELING", is_gone=True)).action == "bury"


def test_a_run_that_has_not_had_time_for_a_heartbeat_lives():
    assert decided(run(heartbeat_s=None, started_s=NOW_S - 20)).action == "leave"


def test_a_run_that_never_began_is_declared_dead():
    lost = {"started_s": None, "heartbeat_s": None}

    assert decided(run(status="STARTING", created_s=NOW_S - 60, **lost)).action == "leave"
    late = run(status="STARTING", created_s=NOW_S - STARTED_WITHIN_S - 1, **lost)
    assert decided(late).action == "bury"


def test_a_run_that_waits_in_the_queue_is_never_declared_dead():
    waiting = run(status="QUEUED", created_s=NOW_S - 9999, started_s=None, heartbeat_s=None)

    assert decided(waiting).action == "leave"


def test_a_second_launch_by_hand_is_taken_from_the_queue():
    second = run("r2", "QUEUED", started_s=None, heartbeat_s=None)

    assert decided(second, run("r1")) == Decision(
        "cancel_duplicate", "run r1 is streaming already", "r2"
    )


def test_a_duplicate_that_was_canceled_is_not_taken_for_a_persons_wish():
    duplicate = run("r2", "CANCELED", is_duplicate=True)

    assert decided(duplicate, run("r1", "SUCCESS")).action == "launch"


def test_pauses_grow_and_have_an_end():
    pauses = [pause_s(n) for n in range(100)]

    assert pauses[:4] == [0.0, 0.0, 10.0, 20.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_WAIT_S


VIEWS = st.builds(
    RunView,
    run_id=st.uuids().map(str),
    status=st.sampled_from([*sorted(LIVE), "SUCCESS", "FAILURE", "CANCELED"]),
    fingerprint=st.sampled_from([PRINT, "old"]),
    created_s=st.floats(0, NOW_S),
    started_s=st.none() | st.floats(0, NOW_S),
    ended_s=st.none() | st.floats(0, NOW_S),
    heartbeat_s=st.none() | st.floats(0, NOW_S),
    is_draining=st.booleans(),
    is_gone=st.booleans(),
    is_duplicate=st.booleans(),
)


@given(runs=st.lists(VIEWS, max_size=6))
def test_nothing_is_launched_while_a_run_lives(runs):
    decision = decided(*runs)

    if any(one.status in LIVE for one in runs):
        assert decision.action != "launch"
    else:
        assert decision.action in {"launch", "leave"}
    if decision.action not in {"launch", "leave"}:
        assert decision.run_id in {one.run_id for one in runs if one.status in LIVE}
