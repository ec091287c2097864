"""`simulate` serves until it is told to stop."""

import signal
import subprocess
import sys

import pytest
import requests

from wildfire_ingest.cli.simulate import NWS_PRESETS, PRESETS, fault_plan
from wildfire_ingest.config.document import read
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.simulator.nws import has_contact
from wildfire_ingest_tests.cli.answers import answer


@pytest.fixture
def simulator():
    """Starts the command; stopped at the end."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "wildfire_ingest.cli.main", "simulate", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def get(url, **headers):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers, timeout=10)


def test_it_serves_firms_and_ends_with_0_on_ctrl_c(simulator, tmp_path):
    process, base_url = simulator("firms", "--seed", "3")

    found = get(f"{base_url}/api/area/csv/any-key/VIIRS_SNPP_NRT/world/1")
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.wait(timeout=30)

    assert found.text.startswith("latitude,longitude,bright_ti4")
    assert process.returncode == 0
    snippet = tmp_path / "snippet.yaml"
    snippet.write_text(rest)
    assert read(snippet).data["sources"]["firms_simulated"]["base_url"] == base_url


def test_it_serves_nws_and_its_snippet_is_a_configuration_that_it_answers(simulator, tmp_path):
    process, base_url = simulator("nws", "--seed", "3")
    process.send_signal(signal.SIGINT)
    snippet = tmp_path / "snippet.yaml"
    snippet.write_text(process.stdout.read())
    process.wait(timeout=30)
    sources = read(snippet).data["sources"]

    assert process.returncode == 0
    assert {one["source_type"] for one in sources.values()} == {"noaa_weather", "noaa_alerts"}
    for one in sources.values():
        assert one["base_url"] == base_url
        assert has_contact(one["custom_params"]["user_agent"])


def test_a_blocked_caller_of_nws_gets_its_page(simulator):
    _, base_url = simulator("nws", "--faults", '{"faults": [{"kind": "access_denied", "at": [1]}]}')
    url = f"{base_url}/alerts/active"

    statuses = [get(url, **{"User-Agent": "tests (a@example.invalid)"}).status_code for _ in "12"]

    assert statuses == [403, 200]
    assert get(url).status_code == 403


def test_it_replays_recordings_of_nws(simulator, tmp_path):
    (tmp_path / "1.json").write_text('{"type": "FeatureCollection", "features": []}')
    _, base_url = simulator("nws", "--replay", str(tmp_path))

    found = get(f"{base_url}/alerts/active?area=CA")

    assert found.headers["Content-Type"] == "application/geo+json"
    assert found.json()["features"] == []


def test_it_replays_a_folder_with_faults(simulator, tmp_path):
    (tmp_path / "1.csv").write_bytes(answer(1))
    faults = '{"faults": [{"kind": "too_many_requests", "at": [1], "retry_after_s": 7}]}'
    _, base_url = simulator("--replay", str(tmp_path), "--faults", faults)
    url = f"{base_url}/api/area/csv/any-key/MODIS_NRT/world/1"

    first, second = get(url), get(url)

    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert second.content == answer(1)


def test_a_port_that_is_taken_is_one_line(simulator):
    _, base_url = simulator()
    process, _ = simulator("--port", base_url.rpartition(":")[2])

    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 2
    assert len(stderr.splitlines()) == 1


def test_each_preset_is_a_plan():
    assert all(fault_plan(name) for name in PRESETS)
    assert all(fault_plan(name, NWS_PRESETS) for name in PRESETS)
    with pytest.raises(ConfigError, match="flaky"):
        fault_plan("nonsense")


@pytest.mark.parametrize("speed", ["nan", "inf", "-inf", "0", "-1"])
def test_a_speed_that_is_no_speed_is_refused(wildfire, speed):
    found = wildfire("simulate", f"--speed={speed}")

    assert found.exit_code == 2
    (line,) = found.stderr.splitlines()
    assert "--speed" in line


def test_another_speed_says_that_its_world_runs_away_from_the_clock(simulator):
    process, base_url = simulator("--speed", "60")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert base_url.startswith("http://127.0.0.1:")
    assert "runs away from the clock" in stderr.splitlines()[0]
