"""Whether a source may be asked, as another process reads it."""

import pytest

from wildfire_ingest.fetch.circuits import SourceCircuit
from wildfire_ingest.fetch.quota import Limits
from wildfire_ingest.fetch.settings import ApiQuota, FetchSettings
from wildfire_ingest.fetch.shared_state import FILE_NAME, SharedState
from wildfire_ingest.observe.limits_view import limits

NOW_US = 1_786_795_200_000_000


@pytest.fixture
def settings(tmp_path):
    return FetchSettings(
        source_id="firms",
        base_url="https://example.org",
        state_dir=tmp_path,
        quota=ApiQuota(name="firms-key", units=100, interval_s=600),
        max_consecutive_failures=3,
        circuit_open_s=60,
    )


@pytest.fixture
def state(tmp_path):
    shared = SharedState(tmp_path)
    yield shared
    shared.close()


def test_a_source_that_was_never_asked_has_free_way_and_no_file(settings, tmp_path):
    found = limits(settings, NOW_US)

    assert (found.circuit, found.quota_units, found.quota_spent) == ("closed", 100, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_circuit_is_shown_through_its_states(settings, state):
    circuit = SourceCircuit(state, settings)
    seen = []
    for _ in range(3):
        circuit.failed(NOW_US)
        seen.append(limits(settings, NOW_US).circuit)

    opened = limits(settings, NOW_US + 20_000_000)
    later = limits(settings, NOW_US + 61_000_000)

    assert seen == ["closed", "closed", "open"]
    assert (opened.opens_again_in_s, opened.failures_in_a_row) == (40, 3)
    assert (later.circuit, later.opens_again_in_s) == ("half_open", None)


def test_pause_and_quota_are_shown(settings, state):
    taking = Limits(state, settings)
    taking.take(2.5, NOW_US)
    taking.pause(30_000_000, NOW_US, whole_quota=True)

    now, later = limits(settings, NOW_US), limits(settings, NOW_US + 601_000_000)

    assert (now.quota_spent, now.paused_for_s) == (2.5, 30)
    assert (later.quota_spent, later.paused_for_s) == (0, None)


def test_a_damaged_file_is_unknown_not_a_crash(settings, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)

    assert limits(settings, NOW_US).circuit == "unknown"
