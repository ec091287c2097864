"""`wildfire-ingest simulate`: an API's answers from this machine, until Ctrl-C."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.run import stopped_by_signals
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.simulator.faults import Fault, FaultPlan, faults_from_json
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings
from wildfire_ingest.simulator.replay import Api, ReplaySite
from wildfire_ingest.simulator.server import SimulatorServer, Site

PRESETS: dict[str, tuple[Fault, ...]] = {
    "flaky": (
        Fault("server_error", rate=0.1, status=503),
        Fault("truncated", rate=0.05),
        Fault("disconnect", rate=0.05),
    ),
    "busy": (Fault("too_many_requests", rate=0.3, retry_after_s=2),),
    "hostile": (
        Fault("html", rate=0.1),
        Fault("empty", rate=0.1),
        Fault("header_only", rate=0.1),
        Fault("slow_drip", rate=0.1, bytes_per_s=2_000),
    ),
    "down": (Fault("server_error", rate=1.0, status=503),),
}
"""Names for --faults."""

NWS_PRESETS: dict[str, tuple[Fault, ...]] = {
    **PRESETS,
    "busy": (Fault("access_denied", rate=0.3),),
    "hostile": (
        Fault("html", rate=0.1),
        Fault("empty", rate=0.1),
        Fault("features_null", rate=0.1),
        Fault("slow_drip", rate=0.1, bytes_per_s=20_000),
    ),
    "down": (Fault("problem", rate=1.0),),
}
"""The same names; the faults are those of the NWS."""

_FIRMS_SNIPPET = """\
sources:
  firms_simulated:
    source_type: nasa_firms
    base_url: {base_url}
    ingestion: {{mode: real_time, polling_interval_seconds: 5}}
    cache_ttl_seconds: 0
    custom_params: {{product: VIIRS_SNPP_NRT, area: world, map_key: "${{ENV:FIRMS_MAP_KEY}}"}}"""

_NWS_SNIPPET = """\
sources:
  weather_simulated:
    source_type: noaa_weather
    base_url: {base_url}
    ingestion: {{mode: real_time, polling_interval_seconds: 10}}
    cache_ttl_seconds: 0
    custom_params: {{state: CA, user_agent: "wildfire-ingest (you@example.org)"}}
  alerts_simulated:
    source_type: noaa_alerts
    base_url: {base_url}
    ingestion: {{mode: real_time, polling_interval_seconds: 30}}
    cache_ttl_seconds: 0
    custom_params: {{state: CA, user_agent: "wildfire-ingest (you@example.org)"}}"""

_RUNS_AWAY = (
    "note: with --speed {speed:g} the world's time runs away from the clock that a source compares "
    "its rows with: good for many answers in a short time, not for delays or for days on end"
)


def _finite(_: click.Context, option: click.Parameter, value: float) -> float:
    if math.isnan(value):  # passes every range: no comparison with it holds
        raise click.BadParameter("found nan; expected a number", param=option)
    return value


@click.command()
@click.argument("api", type=click.Choice(["firms", "nws"]), default="firms")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Default: a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated world.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    callback=_finite,
    default=1.0,
    show_default=True,
    help="How much faster than the clock the world's time runs; not 1: it runs away from it.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the recorded answers of this folder instead, one a poll.",
)
@click.option(
    "--faults",
    help=f"{', '.join(PRESETS)}, or JSON: "
    '{"faults": [{"kind": "too_many_requests", "at": [3], "retry_after_s": 2}]}',
)
def command(
    api: Api, port: int, seed: int, speed: float, replay: Path | None, faults: str | None
) -> int:
    """Serve an API on 127.0.0.1: a moving, seeded world, or recordings.

    Any FIRMS_MAP_KEY is accepted; the NWS wants a User-Agent with a contact.  What was served is
    counted under /_simulator/state.
    """
    presets, snippet = _APIS[api]
    plan = FaultPlan(fault_plan(faults, presets) if faults else ())
    server = SimulatorServer(_site(api, seed, speed, replay), port=port, faults=plan)
    stop = threading.Event()
    with stopped_by_signals(stop):
        try:
            base_url = server.start()
        except OSError as error:
            raise click.UsageError(f"port {port} cannot be used: {error.strerror}") from error
        if speed != 1:
            exits.say_line(_RUNS_AWAY.format(speed=speed))
        click.echo(base_url)
        click.echo(snippet.format(base_url=base_url))
        exits.say_line(f"serving until Ctrl-C; {base_url}/_simulator/state says what was served")
        stop.wait()
        server.stop()
    return exits.OK


_APIS = {"firms": (PRESETS, _FIRMS_SNIPPET), "nws": (NWS_PRESETS, _NWS_SNIPPET)}


def fault_plan(words: str, presets: Mapping[str, tuple[Fault, ...]] = PRESETS) -> tuple[Fault, ...]:
    """A preset's faults, or those of a JSON document.  Raises ConfigError."""
    if words in presets:
        return presets[words]
    try:
        return faults_from_json(words.encode())
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"--faults: {error}; expected one of {', '.join(presets)}, or JSON such as "
            '{"faults": [{"kind": "html", "at": [3]}]}'
        ) from error


def _site(api: Api, seed: int, speed: float, replay: Path | None) -> Site:
    start_us = SystemClock().now_us()
    if replay is not None:
        try:
            return ReplaySite(replay, api=api)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if api == "nws":
        return NwsSimulator(NwsWorldSettings(seed=seed), start_us, speed=speed)
    return FirmsSimulator(WorldSettings(seed=seed), start_us, speed=speed)
