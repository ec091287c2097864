"""What the file may say of a noaa_alerts source, and what its connector gets of it."""

from pathlib import Path

import pytest

from wildfire_ingest.config import build
from wildfire_ingest.config.loader import load
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.sources.settings import NwsAlertsSettings


def settings(tmp_path: Path, params: str, more: str = "") -> NwsAlertsSettings:
    path = tmp_path / "stream_config.yaml"
    path.write_text(
        f"sources:\n  a: {{source_type: noaa_alerts, custom_params: {{{params}}}{more}}}\n"
    )
    built = build.source_settings(load(path, environ={}).config.sources["a"])
    assert isinstance(built, NwsAlertsSettings)
    return built


def test_state_and_alert_types_reach_the_connector(tmp_path: Path) -> None:
    found = settings(tmp_path, "state: CA, alert_types: [Red Flag Warning]")

    assert (found.state, found.alert_types) == ("CA", ("Red Flag Warning",))


@pytest.mark.parametrize(
    "params",
    [
        "zones: [CAZ216, CAC067]",
        "zone: [CAZ216, CAC067]",
        "zone: 'CAZ216,CAC067'",
    ],
)
def test_zones_may_be_a_list_or_a_text_under_either_key(tmp_path: Path, params: str) -> None:
    assert settings(tmp_path, params).zones == ("CAZ216", "CAC067")


def test_one_zone_is_one_word(tmp_path: Path) -> None:
    assert settings(tmp_path, "zone: CAZ216").zones == ("CAZ216",)


@pytest.mark.parametrize("params", ["zone: Sacramento", "zones: [caz216]", "state: California"])
def test_a_place_that_nws_does_not_know_is_refused(tmp_path: Path, params: str) -> None:
    with pytest.raises(ConfigError):
        settings(tmp_path, params)


@pytest.mark.parametrize(("per_minute", "requests"), [(60, 24), (2, 1)])
def test_the_pace_says_how_many_requests_a_poll_may_make(
    tmp_path: Path, per_minute: int, requests: int
) -> None:
    found = settings(tmp_path, "state: CA", f", rate_limit_per_minute: {per_minute}")

    assert found.requests_per_poll == requests
