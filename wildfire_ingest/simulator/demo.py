"""The whole product on one machine, on simulated APIs: started, watched, compared, ended.

Order of the end: the simulated worlds stand still; schedules and sensors off, so that the long run
drains; runs end; each source polls once more, which takes over what a last look was answered and
delivers what waits; then Kafka is read anew and compared with what was served.  So no row is on
its way when they are counted.  Times in seconds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests
from confluent_kafka.admin import AdminClient

from wildfire_ingest.assembly import running_source
from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config import build, loader
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config, topics
from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.errors import IngestError
from wildfire_ingest.simulator import brokers
from wildfire_ingest.simulator.brokers import Broker, BrokerNotStarted
from wildfire_ingest.simulator.demo_dagster import UNFINISHED, DagsterDev, DagsterRefused, Run
from wildfire_ingest.simulator.demo_folder import FOLDER, DemoFailed, DemoFolder
from wildfire_ingest.simulator.demo_memory import memory_of_family
from wildfire_ingest.simulator.demo_progress import Firsts, Pace, last_run
from wildfire_ingest.simulator.demo_reader import Found, TopicReader
from wildfire_ingest.simulator.demo_screen import Screen, Standing
from wildfire_ingest.simulator.demo_sites import DemoSites, Served
from wildfire_ingest.simulator.demo_sources import SOURCES, DemoSource
from wildfire_ingest.simulator.demo_verdict import Comparison

SETTLE_WAIT_S = 150.0
"""How long the last runs may take to end: a run gives up on a broker after 120 s."""
LOOK_EVERY_S = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOT_ANSWERED = (requests.RequestException, DagsterRefused, KeyError)
"""Dagster is busy, or not yet able to tell."""


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
        self._sites = DemoSites({one.source_id: one.source_type for one in SOURCES})
        self._dagster = DagsterDev(self._folder.path, self._folder.environment())
        self._pause = threading.Event()  # never set: only a wait that Ctrl-C can end
        self._last_look_s = 0.0
        self._runs: list[Run] = []
        self._paces: dict[str, Pace] = defaultdict(Pace)

    # the start

    def start(self) -> None:
        """Everything up, schedules and sensors on, every batch source launched once."""
        began_s = time.monotonic()
        bootstrap = self._start_broker()
        self._stack.callback(self._sites.stop)
        servers = self._sites.start()
        suffix = "" if self._is_ours else time.strftime("-demo-%Y%m%d-%H%M%S", time.gmtime())
        self._folder.write_config(bootstrap, servers, suffix)
        self.config = self._read_config()
        self._make_topics()
        self._reader = self._open_reader(commits=True)
        self._stack.callback(self._reader.close)
        self._stack.callback(self._dagster.stop)
        url = self._dagster.start()
        self._screen.heading = f"Dagster's UI: {url}"
        self._screen.say(f"{self._screen.heading}   (after {_ago(began_s):.0f} s)")
        self._launch_batches()
        self._screen.say(
            "Schedules (every minute) and sensors are on; batch sources were launched once, the"
            " continuous one is launched by its sensor."
        )

    def _start_broker(self) -> str:
        self._stack.callback(self._broker.stop if self._is_ours else lambda: None)
        bootstrap = self._broker.start()
        self._screen.say(f"Broker: {self._broker.name} at {bootstrap}")
        if not self._broker.is_durable:
            self._screen.say("  It is for trying out: in memory only, not durable.")
        self._screen.say(f"Folder: {self._folder.path} (made anew at each start)")
        return bootstrap

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

    def _launch_batches(self) -> None:
        for one in SOURCES:
            if one.mode == "batch":
                with suppress(*NOT_ANSWERED):  # then its schedule starts it within the minute
                    self._dagster.launch(one.job)

    # while it runs

    def watch(self, seconds: float | None) -> None:
        """Show what flows until `seconds` after every mode has materialized once.

        Without `seconds` it ends by KeyboardInterrupt only.  Raises DemoFailed where a mode
        brings nothing.
        """
        began_s = time.monotonic()
        firsts = Firsts(SOURCES, began_s)
        while firsts.last_s is None or seconds is None or _ago(firsts.last_s) < seconds:
            self._reader.catch_up()
            self._pause.wait(LOOK_EVERY_S / 2)
            if _ago(self._last_look_s) < LOOK_EVERY_S:
                continue
            self._look()
            for mode in firsts.look(self._is_materialized, time.monotonic()):
                self._screen.say(f"{mode}: first materialization after {_ago(began_s):.0f} s")
            complaint = firsts.complaint(time.monotonic())
            if complaint:
                raise DemoFailed(f"{complaint}; see {self._folder.path / 'dagster.log'}")
        self._tell_memory()

    def _is_materialized(self, source: DemoSource) -> bool:
        with suppress(*NOT_ANSWERED):
            return bool(self._dagster.materializations(*source.asset_key))
        return False

    def _look(self) -> None:
        """Ask Dagster and the brokers how it stands, and show it."""
        try:
            self._runs = self._dagster.runs()
        except NOT_ANSWERED:
            self._screen.say("Dagster is too busy to answer; asking again")
        lags = self._lag.read(build.throttle_settings(self.config).consumer_groups)
        now_s = self._last_look_s = time.monotonic()
        self._screen.show([self._standing(one, lags, now_s) for one in SOURCES], now_s)

    def _standing(self, one: DemoSource, lags: dict[str, int | None], now_s: float) -> Standing:
        found = self._reader.found.get(one.source_id, Found())
        topic = self.config.sources[one.source_id].topic or ""
        return Standing(
            source_id=one.source_id,
            mode=one.mode,
            served=self._sites.served[one.source_id].state()["distinct_rows"],
            ids=len(found.ids),
            dead=found.dead,
            last_run=last_run(
                self._runs,
                one.job,
                SystemClock().now_us() / SECOND_US,
                streams=one.mode == "continuous_streaming",
            ),
            lag=lags.get(topic),
            records_per_s=self._paces[one.source_id].note(now_s, len(found.revisions)),
        )

    def _tell_memory(self) -> None:
        memory = memory_of_family()
        if memory is not None:
            self._screen.say(
                f"Memory of the demo's {memory.processes} processes together:"
                f" {memory.n_bytes / 1e6:.0f} MB"
            )

    # the end

    def settle(self) -> None:
        """Nothing polls any more and everything that was served is delivered."""
        self._screen.say("Schedules and sensors off; waiting for the last runs")
        self._sites.freeze()
        deadline_s = time.monotonic() + SETTLE_WAIT_S
        self._until(self._is_off, deadline_s, "schedules and sensors could not be switched off")
        for _ in range(2):  # a tick under way may launch one more between two looks
            self._until(self._is_quiet, deadline_s, "runs have not ended")
            self._pause.wait(1.0)
        self._reader.catch_up()
        self._look()
        self._dagster.stop()
        for one in SOURCES:
            self._poll_once_more(one.source_id)

    def _until(self, is_so: Callable[[], bool], deadline_s: float, otherwise: str) -> None:
        while not is_so():
            if time.monotonic() > deadline_s:
                raise DemoFailed(f"{otherwise} within {SETTLE_WAIT_S:.0f} s")
            self._pause.wait(1.0)

    def _is_off(self) -> bool:
        with suppress(*NOT_ANSWERED):
            self._dagster.switch_off()
            return True
        return False

    def _is_quiet(self) -> bool:
        with suppress(*NOT_ANSWERED):
            return not self._dagster.runs(UNFINISHED)
        return False

    def _poll_once_more(self, source_id: str) -> None:
        environment = self._folder.environment()
        try:
            with running_source(self.config, source_id, environ=environment) as engine:
                summary = engine.run_once()
        except IngestError as error:
            raise DemoFailed(f"{source_id} could not be run a last time: {error}") from error
        if not summary.succeeded:
            self._screen.say(f"{source_id}: its last poll {summary.ending}: {summary.message}")

    def compare(self) -> list[Comparison]:
        """Kafka, read from its beginning, against what was served."""
        reader = self._open_reader(commits=False)
        try:
            found = reader.read_to_end()
        finally:
            reader.close()
        return [
            comparison(source_id, served, found.get(source_id, Found()))
            for source_id, served in self._sites.served.items()
        ]

    def close(self) -> None:
        """End every process and server that was started."""
        self._screen.close()
        self._stack.close()


def _ago(at_s: float) -> float:
    return time.monotonic() - at_s


def comparison(source_id: str, served: Served, found: Found) -> Comparison:
    """One source's two sides."""
    truth = served.state()
    return Comparison(
        source_id=source_id,
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
        by_itself = f"Ends by itself, {seconds or 0:.0f} s after all three modes have materialized."
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
