"""The recorded polls, replayed in order into Kafka: each distinct row exactly once."""

from datetime import UTC, datetime

import pytest

from wildfire_ingest_tests.faults.conftest import recorded
from wildfire_ingest_tests.faults.fires import expected

pytestmark = [pytest.mark.kafka, pytest.mark.samples]


def _replay(source, times=None):
    summaries = [source.poll(now_s=times and times[n]) for n in range(len(source.bodies))]
    assert {(s.ending, s.message) for s in summaries} == {("done", "")}
    return summaries


def test_the_recorded_polls_of_modis_give_each_row_once_and_again_nothing(stream, modis_polls):
    source = stream(modis_polls)

    _replay(source)
    ledger = source.must_hold(expected(modis_polls), least=10_000)
    source.site._position = 0
    again = _replay(source)

    assert len(modis_polls) == 34
    assert ledger.fetched > 3 * ledger.accepted
    assert sum(s.ledger.fetched for s in again) > 100_000
    assert sum(s.ledger.accepted + s.ledger.rejected for s in again) == 0
    source.must_hold(expected(modis_polls))


@pytest.mark.parametrize(("satellite", "n_polls"), [("noaa20", 12), ("snpp", 11)])
def test_the_recorded_polls_of_viirs_give_each_row_once(stream, samples, satellite, n_polls):
    """The clock goes with the recordings, which lie years apart."""
    folder = samples / "firms" / "derived_polls_viirs_24h"
    names = sorted(path.name for path in folder.glob(f"{satellite}_poll_*"))
    polls = recorded(samples, folder.name, f"{satellite}_poll_*")
    times = [
        int(
            datetime.strptime(name.split("_poll_")[1][:17], "%Y-%m-%dT%H%M%S")
            .replace(tzinfo=UTC)
            .timestamp()
        )
        for name in names
    ]
    source = stream(
        polls, product="VIIRS_NOAA20_NRT" if satellite == "noaa20" else "VIIRS_SNPP_NRT"
    )

    _replay(source, times)

    assert len(polls) == n_polls
    source.must_hold(expected(polls, oldest_s=0), least=5_000)
