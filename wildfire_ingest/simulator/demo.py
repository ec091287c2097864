"""The whole product on one machine, on simulated APIs: started, watched, compared, ended.

Order of the end: schedules off, runs end, what waits is delivered, then Kafka is read anew and
compared with what was served; so no row is on its way when they are counted.  Times in seconds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests
from confluent_kafka.admin import AdminClient

from wildfire_ingest.assembly import running_source
from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config import build, loader
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config, topics
from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.simulator import brokers
from wildfire_ingest.simulator.brokers import Broker, BrokerNotStarted
from wildfire_ingest.simulator.demo_dagster import UNFINISHED, DagsterDev, Run
from wildfire_ingest.simulator.demo_folder import FOLDER, PARAMS, DemoFailed, DemoFolder
from wildfire_ingest.simulator.demo_reader import Found, TopicReader
from wildfire_ingest.simulator.demo_screen import Screen, Standing
from wildfire_ingest.simulator.demo_verdict import Comparison
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.simulator.server import SimulatorServer

FIRST_WAIT_S = 180.0
"""How long the first materialization may take."""
SETTLE_WAIT_S = 150.0
"""How long the last runs may take to end: a run gives up on a broker after 120 s."""
LOOK_EVERY_S = 2.0
WORLD = WorldSettings(
    rows_per_minute=600.0,
    keep_s=3600,
    granule_s=20,
    publish_after_s=(2, 10),
    reprocess_after_s=(60, 150),
    revised_share=0.05,
)
"""About 6 new rows a second for the two products, and as many again that replace them."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Demo:
    """Broker, simulators, Dagster and a reader; `close()` ends all of it."""

    def __init__(self, choice: str, screen: Screen, folder: Path = FOLDER) -> None:
        missing = brokers.missing_requirements(choice)
        if missing:
            raise BrokerNotStarted(missing)
        self._screen = screen
        self._stack = ExitStack()
        self._broker: Broker = brokers.broker_named(choice, folder.absolute() / "broker")
        self._folder = DemoFolder(folder)
        self._stack.callback(self._folder.close)
        self._is_ours = choice in {brokers.EMBEDDED, brokers.KAFKA}
        start_us = SystemClock().now_us()
        self._sites = {name: FirmsSimulator(WORLD, start_us) for name in PARAMS}
        self._dagster = DagsterDev(self._folder.path, self._folder.environment())
        self._schedules: list[str] = []
        self._pause = threading.Event()  # never set: only a wait that Ctrl-C can end
        self._last_look_s = 0.0
        self._runs: list[Run] = []

    # the start

    def start(self) -> None:
        """Everything up, schedules on, every source launched once."""
        began_s = time.monotonic()
        bootstrap = self._start_broker()
        servers = {name: self._serve(site) for name, site in self._sites.items()}
        suffix = "" if self._is_ours else time.strftime("-demo-%Y%m%d-%H%M%S", time.gmtime())
        self._folder.write_config(bootstrap, servers, suffix)
        self.config = self._read_config()
        self._make_topics()
        self._reader = self._open_reader(commits=True)
        self._stack.callback(self._reader.close)
        self._stack.callback(self._dagster.stop)
        url = self._dagster.start()
        for name in self._sites:
            self._schedules.append(self._dagster.start_schedule(f"schedule_{name}"))
            self._dagster.launch(f"ingest_{name}")
        self._screen.say(f"Dagster's UI: {url}   (after {time.monotonic() - began_s:.0f} s)")
        self._screen.say("Schedules are on, every minute; each source was launched once.")

    def _start_broker(self) -> str:
        self._stack.callback(self._broker.stop if self._is_ours else lambda: None)
        bootstrap = self._broker.start()
        self._screen.say(f"Broker: {self._broker.name} at {bootstrap}")
        if not self._broker.is_durable:
            self._screen.say("  It is for trying out: in memory only, not durable.")
        self._screen.say(f"Folder: {self._folder.path} (made anew at each start)")
        return bootstrap

    def _serve(self, site: FirmsSimulator) -> str:
        server = SimulatorServer(site)
        self._stack.callback(server.stop)
        return server.start()

    def _read_config(self) -> StreamConfig:
        environment = self._folder.environment()
        return loader.load(self._folder.config_file, environ=environment).config

    def _make_topics(self) -> None:
        settings = build.kafka_settings(self.config)
        admin = AdminClient(client_config.common(settings))
        wanted = topics.with_own_topics(build.topic_settings(self.config), settings)
        topics.sync(admin, wanted)
        if not self._is_ours:
            self._screen.say(f"Topics that stay on your cluster: {', '.join(self.config.topics)}")
        self._lag = LagReader(client_config.common(settings))

    def _open_reader(self, *, commits: bool) -> TopicReader:
        kafka = self.config.kafka
        return TopicReader(
            kafka.bootstrap_servers, list(self.config.topics), kafka.dlq_topic, commits=commits
        )

    # while it runs

    def watch(self, seconds: float | None) -> float:
        """Show what flows until `seconds` after the first materialization; when that one came.

        Without `seconds` it ends by KeyboardInterrupt only.
        """
        began_s, first_s = time.monotonic(), None
        while first_s is None or seconds is None or time.monotonic() - first_s < seconds:
            self._reader.catch_up()
            self._pause.wait(LOOK_EVERY_S / 2)
            now_s = time.monotonic()
            if now_s - self._last_look_s >= LOOK_EVERY_S:
                self._look(now_s)
                if first_s is None and self._is_materialized():
                    first_s = time.monotonic()
                    self._screen.say(f"First materialization after {first_s - began_s:.0f} s")
            if first_s is None and now_s - began_s > FIRST_WAIT_S:
                raise DemoFailed(
                    f"no materialization within {FIRST_WAIT_S:.0f} s; see the runs in the UI and"
                    f" {self._folder.path / 'dagster.log'}"
                )
        return first_s

    def _is_materialized(self) -> bool:
        keys = (("wildfire", "nasa_firms", name) for name in self._sites)
        try:
            return any(self._dagster.materializations(*key) for key in keys)
        except requests.RequestException:
            return False

    def _look(self, now_s: float) -> None:
        """Ask Dagster and the brokers how it stands, and show it."""
        self._last_look_s = now_s
        try:
            self._runs = self._dagster.runs()
        except requests.RequestException:
            self._screen.say("Dagster is too busy to answer; asking again")
        groups = build.throttle_settings(self.config).consumer_groups
        lags = self._lag.read(groups)
        known = [lag for lag in lags.values() if lag is not None]
        self._screen.show(
            [
                self._standing(name, site, max(known) if known else None)
                for name, site in self._sites.items()
            ],
            now_s,
        )

    def _standing(self, name: str, site: FirmsSimulator, lag: int | None) -> Standing:
        found = self._reader.found.get(name, Found())
        return Standing(
            source_id=name,
            served=site.distinct_rows_served(),
            records=len(found.revisions),
            dead=found.dead,
            last_run=last_run(self._runs, f"ingest_{name}", SystemClock().now_us() / SECOND_US),
            lag=lag,
        )

    # the end

    def settle(self) -> None:
        """Nothing polls any more and everything fetched is delivered."""
        self._screen.say("Schedules off; waiting for the last runs")
        for state_id in self._schedules:
            self._dagster.stop_schedule(state_id)
        deadline, quiet = time.monotonic() + SETTLE_WAIT_S, 0
        while quiet < 2:  # noqa: PLR2004 - a tick under way may launch one more between two looks
            if time.monotonic() > deadline:
                raise DemoFailed(f"runs have not ended within {SETTLE_WAIT_S:.0f} s")
            quiet = 0 if self._dagster.runs(UNFINISHED) else quiet + 1
            self._pause.wait(1.0)
        self._reader.catch_up()
        self._look(time.monotonic())
        self._dagster.stop()
        environment = self._folder.environment()
        for name in self._sites:
            with running_source(self.config, name, environ=environment) as engine:
                engine.deliver_pending()

    def compare(self) -> list[Comparison]:
        """Kafka, read from its beginning, against what was served."""
        reader = self._open_reader(commits=False)
        try:
            found = reader.read_to_end()
        finally:
            reader.close()
        return [
            comparison(name, site, found.get(name, Found())) for name, site in self._sites.items()
        ]

    def close(self) -> None:
        """End every process and server that was started."""
        self._screen.close()
        self._stack.close()


def last_run(runs: list[Run], job: str, now_s: float) -> str:
    """How the latest run of a job stands; `runs` are newest first."""
    for run in runs:
        if run.job == job:
            ago = "" if run.ended_s is None else f" {max(0.0, now_s - run.ended_s):.0f} s ago"
            return f"{run.status.lower()}{ago}"
    return "none yet"


def comparison(name: str, site: FirmsSimulator, found: Found) -> Comparison:
    """One source's two sides."""
    truth = site.state()
    return Comparison(
        source_id=name,
        served_rows=truth["distinct_rows"],
        served_changes=truth["value_changes"],
        distinct_ids=len(found.ids),
        records=len(found.revisions),
        duplicates=found.duplicates,
        dead=found.dead,
    )


def run_demo(choice: str, seconds: float | None, screen: Screen | None = None) -> bool:
    """The demo from start to end; whether it shows what it should.

    Raises KeyboardInterrupt where a timed demo is interrupted; without `seconds` that is its end.
    """
    screen = screen or Screen()
    with interruptible():
        demo = Demo(choice, screen)
        try:
            return _shown(demo, seconds, screen)
        finally:
            for number in SIGNALS:  # a second Ctrl-C must not leave a process behind
                signal.signal(number, signal.SIG_IGN)
            screen.close()
            screen.say("Stopping everything …")
            demo.close()
            screen.say("Stopped; nothing is left running.")


def _shown(demo: Demo, seconds: float | None, screen: Screen) -> bool:
    try:
        demo.start()
        by_itself = f"Ends by itself, {seconds or 0:.0f} s after the first materialization."
        screen.say("Ctrl-C ends it." if seconds is None else by_itself)
        demo.watch(seconds)
    except KeyboardInterrupt:
        if seconds is None:
            return True
        raise
    demo.settle()
    comparisons = demo.compare()
    screen.close()
    screen.show_verdict(comparisons)
    faults = [fault for one in comparisons for fault in one.disagreements()]
    for fault in faults:
        screen.say(f"DISAGREES: {fault}")
    if not faults:
        screen.say("Every row served is in Kafka exactly once, every change as one revision.")
    return not faults


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt, also where a shell had SIGINT ignored.

    A child then starts with both at their defaults, so that Dagster can be ended.
    """
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
