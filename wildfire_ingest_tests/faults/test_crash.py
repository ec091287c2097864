"""kill -9 at each named point: a read_committed consumer sees the same set, nothing twice."""

import random
import shutil

import pytest

from wildfire_ingest.engine.crash import POINTS
from wildfire_ingest_tests.faults.fires import expected, six_polls

pytestmark = pytest.mark.kafka

IN_RECOVERY = sorted(p for p in POINTS if p.startswith("recover.") and p != "recover.after_adopt")
ON_THE_WAY = sorted(p for p in POINTS if p.startswith(("poll.", "spool.", "txn.")))


@pytest.mark.parametrize("point", ON_THE_WAY)
def test_a_kill_on_the_way_loses_and_repeats_nothing(stream, point):
    source = stream()

    killed = source.work("replay", crash=f"{point}:2")
    assert killed.wait() == -9
    source.finish()

    source.must_hold(expected(six_polls()), least=480)


@pytest.mark.parametrize("point", IN_RECOVERY)
def test_a_kill_in_the_recovery_from_a_kill_loses_and_repeats_nothing(stream, point):
    source = stream()
    assert source.work("replay", crash="txn.after_commit:2").wait() == -9

    assert source.work("replay", crash=point).wait() == -9
    assert source.work("replay", crash=point).wait() == -9
    source.finish()

    source.must_hold(expected(six_polls()), least=480)


def test_a_kill_after_adopting_adopts_only_once(stream):
    source = stream()
    for _ in range(3):
        assert source.poll().ending == "done"
    shutil.rmtree(source.state)
    assert source.work("replay", crash="recover.after_adopt").wait() == -9

    again = source.work("replay")
    assert again.wait() == 0

    assert [told["adopted"] for told in again.lines("Recovered")] == [False]
    source.must_hold(expected(six_polls()), least=480)


@pytest.mark.samples
def test_twenty_random_kills_during_the_recorded_polls_lose_and_repeat_nothing(stream, modis_polls):
    """A seed fixes the instants; some fall into recovery, most into polls and transactions."""
    source = stream(modis_polls)
    dice = random.Random(20_220_405)
    kills = 0
    while kills < 20:
        worker = source.work("replay", engine={"polling_interval_s": 0.5})
        worker.wait_for("running")
        worker.wait_at_most(dice.uniform(0.0, 0.9))
        if not worker.is_running:
            break
        worker.kill()
        kills += 1
    before_the_end = len(source.delivered())
    source.finish()

    assert kills == 20
    assert before_the_end > 2_000
    source.must_hold(expected(modis_polls), least=10_000)
