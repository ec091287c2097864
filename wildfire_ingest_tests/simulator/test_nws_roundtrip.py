"""Simulated NWS, API client and connectors together: what was served is what was read."""

import pytest

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.errors import FetchError, SourceUnavailable
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.noaa_weather import NoaaWeather
from wildfire_ingest.sources.settings import NwsAlertsSettings, NwsObservationsSettings

START_US = 1_786_795_200_000_000


class Polling:
    """One source polled again and again, its records kept as a reader of Kafka would."""

    def __init__(self, source, server, state_dir, after_s):
        self._source, self._after_s = source, after_s
        fetching = FetchSettings(
            source_id=source.source_id,
            base_url=server.base_url,
            state_dir=state_dir,
            rate_limit_per_minute=100_000,
            cache_ttl_s=0.0,
            max_attempts=1,
            user_agent="tests (ops@example.invalid)",
        )
        self.client = ApiClient(fetching, SystemClock())
        self.cursor = None
        self.bodies = {}
        self.changes = 0
        self.rejects = []

    def poll(self):
        """One poll; its cursor and records count only where it succeeds."""
        flow = self._source.poll(self.cursor, START_US + self._after_s[0] * SECOND_US)
        try:
            request = next(flow)
            while True:
                try:
                    answer = self.client.fetch(request)
                except FetchError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as ended:
            self._keep(ended.value)

    def _keep(self, polled):
        self.cursor = polled.cursor
        self.rejects += polled.decoded.rejects
        for record in polled.decoded.records:
            self.changes += self.bodies.get(record.natural_key, record.body) != record.body
            self.bodies[record.natural_key] = record.body


@pytest.fixture
def after_s():
    """Seconds since the start; a list, so that a test can set it."""
    return [0]


@pytest.fixture
def served(serve, after_s):
    def start(faults=None, **world):
        def now_us():
            return START_US + after_s[0] * SECOND_US

        site = NwsSimulator(NwsWorldSettings(**world), START_US, now_us=now_us)
        return serve(site, now_us=now_us, faults=faults)

    return start


@pytest.fixture
def polling(tmp_path, after_s):
    """Polls a server by a source; the client is closed at the end."""
    made: list[Polling] = []

    def start(source, server):
        made.append(Polling(source, server, tmp_path / str(len(made)), after_s))
        return made[-1]

    yield start
    for one in made:
        one.client.close()


def agree(polled, server, stream):
    """Truth of the stream, after it was compared with what was read."""
    truth = server.state()[stream]
    assert polled.rejects == []
    assert (len(polled.bodies), polled.changes) == (truth["distinct_rows"], truth["value_changes"])
    return truth


def test_twenty_minutes_of_alerts_are_read_as_they_were_served(served, polling, after_s):
    server = served(duplicate_share=0.05)
    polled = polling(NoaaAlerts(NwsAlertsSettings(source_id="alerts")), server)

    for now_s in range(0, 1200, 30):
        after_s[0] = now_s
        polled.poll()

    truth = agree(polled, server, "alerts")
    kinds = [body.message_type for body in polled.bodies.values()]
    assert truth["distinct_rows"] > 150
    assert min(kinds.count(kind) for kind in ("Alert", "Update", "Cancel")) > 5


def test_after_an_outage_the_alerts_missed_are_walked_page_by_page(served, polling, after_s):
    server = served(keep_s=7200, events_per_minute=30)
    polled = polling(NoaaAlerts(NwsAlertsSettings(source_id="alerts", state="CA")), server)

    polled.poll()
    after_s[0] = 5400
    polled.poll()

    truth = agree(polled, server, "alerts")
    of_all = server.site.answer(
        "/alerts?area=CA&start=2026-08-15T12:00:00Z",
        {"user-agent": "a@b", "host": ""},
        START_US + 5400 * SECOND_US,
    )
    assert of_all.body.count(b'"messageType"') == 500
    assert truth["distinct_rows"] > 1000


def test_twenty_minutes_of_a_states_observations_are_read_as_they_were_served(
    served, polling, after_s
):
    server = served(old_units_share=0.4, revised_share=0.3)
    settings = NwsObservationsSettings(source_id="weather", state="CA", requests_per_poll=6)
    polled = polling(NoaaWeather(settings), server)

    for now_s in range(0, 1200, 20):
        after_s[0] = now_s
        polled.poll()

    truth = agree(polled, server, "observations")
    assert truth["distinct_rows"] > 300
    assert truth["value_changes"] > 20


def test_zones_and_stations_named_are_read_as_they_were_served(served, polling, after_s):
    server = served()
    names = [station.id for station in server.site.stations[:3]]
    settings = NwsObservationsSettings(
        source_id="weather", stations=(*names, server.site.stations[-1].id), zones=("ORZ001",)
    )
    polled = polling(NoaaWeather(settings), server)

    for now_s in range(0, 300, 20):
        after_s[0] = now_s
        polled.poll()

    assert agree(polled, server, "observations")["distinct_rows"] > 100


@pytest.mark.parametrize("kind", ["problem", "features_null", "access_denied", "disconnect"])
def test_a_failed_poll_leaves_nothing_behind_and_the_next_reads_everything(served, polling, kind):
    server = served(faults=FaultPlan((Fault(kind=kind, at=(1,)),)))
    source = NoaaAlerts(NwsAlertsSettings(source_id="alerts"))

    with pytest.raises(SourceUnavailable):
        polling(source, server).poll()

    assert server.state()["alerts"]["answers"] == 0
    polled = polling(source, server)  # a client of its own: a 403 opens the circuit of the first
    polled.poll()
    assert agree(polled, server, "alerts")["distinct_rows"] > 10
