"""Simulator, API client and source together: what each fault means to a poll, and what remains."""

import itertools

import pytest

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Secret
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms

KEY = "0123456789abcdef0123456789abcdef"
START_US = 1_786_795_200_000_000


@pytest.fixture
def poll(tmp_path):
    """Polls a server once by the real client; neither retry nor circuit hides what came."""
    states = (tmp_path / str(number) for number in itertools.count())

    def once(server, *, cursor=None, now_us=START_US, map_key=KEY, **settings):
        source = NasaFirms(FirmsSettings(source_id="firms", map_key=Secret(map_key), **settings))
        fetching = FetchSettings(
            source_id="firms",
            base_url=server.base_url,
            state_dir=next(states),
            rate_limit_per_minute=10_000,
            cache_ttl_s=0.0,
            max_attempts=1,
        )
        client = ApiClient(fetching, SystemClock())
        flow = source.poll(cursor, now_us)
        request = next(flow)
        try:
            while True:
                try:
                    answer = client.fetch(request)
                except FetchError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as ended:
            return ended.value
        finally:
            client.close()

    return once


def served(serve, *, faults=None, **options):
    site = FirmsSimulator(WorldSettings(), START_US, map_keys=frozenset({KEY}), **options)
    return serve(site, now_us=lambda: START_US, faults=faults)


def test_every_row_that_was_served_is_a_record(serve, poll):
    server = served(serve)

    decoded = poll(server).decoded

    state = server.state()
    assert decoded.rejects == []
    assert len(decoded.records) == decoded.rows == state["rows"] == state["distinct_rows"] > 400


def test_the_static_file_is_polled_without_a_key(serve, poll):
    assert poll(served(serve), feed="static", product="MODIS_NRT").decoded.rows > 400


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (Fault(kind="server_error", at=(1,)), SourceUnavailable),
        (Fault(kind="too_many_requests", at=(1,), retry_after_s=60), SourceUnavailable),
        (Fault(kind="truncated", at=(1,)), FetchError),
        (Fault(kind="disconnect", at=(1,)), SourceUnavailable),
        (Fault(kind="html", at=(1,)), AnswerRefused),
        (Fault(kind="empty", at=(1,)), AnswerRefused),
        (Fault(kind="wrong_key", at=(1,)), SourceRejected),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_fault_is_a_failed_poll_and_the_next_one_has_all_rows(serve, poll, fault, meaning):
    server = served(serve, faults=FaultPlan((fault,)))

    with pytest.raises(meaning) as raised:
        poll(server)

    assert KEY not in str(raised.value)
    assert server.state()["answers"] == 0
    assert poll(server).decoded.rows == server.state()["rows"] > 400


def test_a_header_alone_is_a_good_poll_of_no_rows(serve, poll):
    server = served(serve, faults=FaultPlan((Fault(kind="header_only", at=(1,)),)))

    polled = poll(server)

    assert polled.decoded.rows == 0
    assert polled.cursor


def test_a_wrong_key_is_rejected_for_good(serve, poll):
    with pytest.raises(SourceRejected, match="FIRMS refuses the MAP_KEY"):
        poll(served(serve), map_key="fedcba9876543210fedcba9876543210")


def test_a_spent_quota_is_no_wrong_key_although_both_are_status_400(serve, poll):
    server = served(serve, quota_units=10)

    with pytest.raises(SourceUnavailable, match="quota") as raised:
        poll(server)

    assert raised.value.status == 400
    assert raised.value.retry_after_s
