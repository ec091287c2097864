"""The demo's simulated APIs: who is served by whom, and a world that stands still."""

import pytest
import requests

from wildfire_ingest.simulator.demo_sites import DemoSites, WorldClock
from wildfire_ingest.simulator.demo_sources import CONTACT, SOURCES

TYPES = {one.source_id: one.source_type for one in SOURCES}
STATIC_FILE = "/data/active_fire/modis-c6.1/csv/MODIS_C6_1_Global_24h.csv"


@pytest.fixture
def sites():
    made = DemoSites(TYPES)
    yield made
    made.stop()


def ask(url):
    answer = requests.get(url, headers={"User-Agent": CONTACT}, timeout=10)
    answer.raise_for_status()
    return answer.content


def test_each_source_has_a_truth_of_its_own(sites):
    urls = sites.start()

    ask(urls["firms_modis"] + STATIC_FILE)
    ask(urls["noaa_alerts_ca"] + "/alerts/active?area=CA")

    rows = {name: served.state()["distinct_rows"] for name, served in sites.served.items()}
    assert {name for name, count in rows.items() if count} == {"firms_modis", "noaa_alerts_ca"}


def test_the_two_nws_sources_ask_one_server_and_the_two_of_firms_one_each(sites):
    urls = sites.start()

    assert urls["noaa_alerts_ca"] == urls["noaa_stations_ca"]
    assert len(set(urls.values())) == 3


def test_a_world_that_stands_still_serves_the_same_again(sites, monkeypatch):
    urls = sites.start()
    url = urls["noaa_stations_ca"] + "/stations?state=CA"
    station = requests.get(url, headers={"User-Agent": CONTACT}, timeout=10).json()["features"][0]
    url = f"{urls['noaa_stations_ca']}/stations/{station['properties']['stationIdentifier']}"
    sites.freeze()
    before = ask(f"{url}/observations")

    monkeypatch.setattr("wildfire_ingest.clock.SystemClock.now_us", lambda _: 2_000_000_000_000_000)

    assert ask(f"{url}/observations") == before


def test_a_clock_goes_with_the_time_of_day_until_it_is_stopped(monkeypatch):
    now_us = [1]
    monkeypatch.setattr("wildfire_ingest.clock.SystemClock.now_us", lambda _: now_us[0])
    clock = WorldClock()

    now_us[0] = 2
    assert clock.now_us() == 2
    clock.stop()
    now_us[0] = 3

    assert clock.now_us() == 2
