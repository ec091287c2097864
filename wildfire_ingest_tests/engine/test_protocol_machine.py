"""Whatever happens in whatever order, no row is visible twice, and at the end none is missing.

Two machines share a source and a broker.  A real spool and the engine's own parts, driven by one
thread; crashes leave the file and the broker as they are and lose everything else.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.events import Degraded
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.errors import ProducerFenced, Superseded
from wildfire_ingest.record import Body, Lane
from wildfire_ingest.testing import (
    DLQ_TOPIC,
    TOPIC,
    Bench,
    FakeClock,
    FakeKafka,
    FakeRoutes,
    FakeSource,
    Message,
    Reading,
    make_engine,
)
from wildfire_ingest_tests.engine.lines import line

HOSTS = ("a", "b")
KEYS = ("k0", "k1", "k2", "k3")
URGENT = {"k0", "k1"}
POISON = 13
POINTS = (
    "spool.before_commit",
    "spool.after_commit",
    "txn.after_begin",
    "txn.half_produced",
    "txn.before_commit",
    "txn.after_commit",
    "spool.before_published",
    "spool.after_published",
    "dlq.after_readdress",
    "recover.after_init",
    "recover.after_read",
    "recover.after_claim",
    "recover.after_adopt",
)
hosts = st.sampled_from(HOSTS)
most_often = st.sampled_from((True, True, True, False))
points = st.sampled_from(("", "", "", *POINTS))
faults = st.sampled_from(("", "committed", "aborted", "late", "fenced", "taken over"))
changes = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from((1, 2, 3, 1, 2, 3, POISON)), min_size=1, max_size=4
)


class Crash(BaseException):
    """The process is killed here."""


def lane_of(body: Body) -> Lane:
    assert isinstance(body, Reading)
    return Lane.CRITICAL if body.station in URGENT else Lane.NORMAL


def poisoned(message: Message) -> bool:
    return message.topic == TOPIC and message.json().get("value") == POISON


class Process:
    """One run of the source on one host, its threads' work done by hand."""

    def __init__(self, world: ProtocolMachine, folder: Path) -> None:
        self._closing = ExitStack()
        self.bench: Bench = self._closing.enter_context(
            make_engine(
                FakeSource(),
                world.answer,
                folder,
                kafka=world.kafka,
                clock=world.clock,
                routes=FakeRoutes(TOPIC, lane_of),
                give_up_after_s=None,
                topics=(TOPIC, DLQ_TOPIC),
            )
        )
        self.bench.crash = self._crash
        self.crash_point = ""
        self.engine: Engine | None = None

    def recover(self, *, take_over: bool) -> None:
        engine = self.engine = self.bench.engine(Permissions(take_over=take_over))
        self.bench.intake.restore(self.bench.spool.index_rows())
        end = engine._care.persist(
            lambda: engine._recovery.run(threading.Event()), threading.Event()
        )
        assert end is not None
        for publisher in engine._publishers:
            publisher.start_from(end)
        engine._room.recovered = True
        engine.board.drain()

    def poll(self) -> None:
        assert self.engine is not None
        assert self.engine._poller.poll(threading.Event()) is None

    def publish(self, which: int) -> None:
        assert self.engine is not None
        self.engine._publishers[which].run()

    def superseded(self, error: Superseded) -> None:
        assert self.engine is not None
        self.engine._keep_superseded(error)

    def die(self) -> None:
        self._closing.close()

    def _crash(self, name: str) -> None:
        if name == self.crash_point:
            raise Crash(name)


class ProtocolMachine(RuleBasedStateMachine):
    """The world: an API with a few rows, one broker, two hosts, one saved copy of a spool."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="machine-"))
        self.kafka = FakeKafka(transaction_timeout_s=0.001)
        self.kafka.refuse = poisoned
        self.clock = FakeClock(quiet_s=0)
        self.rows: dict[str, int] = {}
        self.running: dict[str, Process] = {}

    def answer(self, _request: object) -> str:
        return "".join(line(key, value) for key, value in self.rows.items())

    def attempt(self, host: str, work: Callable[[Process], None], crash_point: str = "") -> None:
        """One thing a process does; it may be its last."""
        process = self.running.get(host)
        if process is None:
            return
        process.crash_point = crash_point
        try:
            work(process)
        except Crash:
            self.kill(host)
        except Superseded as error:
            process.superseded(error)
            self.kill(host)

    def kill(self, host: str) -> None:
        self.running.pop(host).die()

    # a process

    @rule(host=hosts, take_over=most_often, point=points)
    def start(self, host: str, take_over: bool, point: str) -> None:
        if host not in self.running:
            self.running[host] = Process(self, self.root / host)
            self.attempt(host, lambda p: p.recover(take_over=take_over), point)

    @rule(host=hosts, changes=changes, point=st.sampled_from(("", "", *POINTS[:2])))
    def poll(self, host: str, changes: dict[str, int], point: str) -> None:
        self.start(host, True, "")
        self.rows.update(changes)
        self.attempt(host, lambda p: p.poll(), point)

    @rule(host=hosts, order=st.permutations((0, 1)), point=points)
    def publish(self, host: str, order: list[int], point: str) -> None:
        for which in order:
            self.attempt(host, partial(Process.publish, which=which), point)

    @rule(host=hosts, changes=changes, fault=faults, point=points)
    def work(self, host: str, changes: dict[str, int], fault: str, point: str) -> None:
        """A poll and what follows it, with one fault in between."""
        self.poll(host, changes, "")
        if fault in {"committed", "aborted", "late"}:
            self.kafka.lose_answer(fault)  # type: ignore[arg-type]
        elif fault == "fenced":
            self.kafka.fail_next_send(ProducerFenced("timed out"))
        elif fault == "taken over":
            self.start("b" if host == "a" else "a", True, "")
        self.publish(host, [0, 1], point)

    @rule(host=hosts)
    def killed(self, host: str) -> None:
        if host in self.running:
            self.kill(host)

    # the broker

    @rule()
    def what_was_late_arrives(self) -> None:
        self.kafka.deliver_late()

    @rule(calls=st.integers(1, 6))
    def the_broker_is_away(self, calls: int) -> None:
        self.kafka.go_away(calls)

    # the spool's file

    @rule(host=hosts)
    def the_spool_is_saved(self, host: str) -> None:
        self.killed(host)
        if (self.root / host).exists():
            shutil.rmtree(self.root / "saved", ignore_errors=True)
            shutil.copytree(self.root / host, self.root / "saved")

    @precondition(lambda self: (self.root / "saved").exists())
    @rule(host=hosts)
    def the_saved_spool_comes_back(self, host: str) -> None:
        self.killed(host)
        shutil.rmtree(self.root / host, ignore_errors=True)
        shutil.copytree(self.root / "saved", self.root / host)

    @rule(host=hosts)
    def the_spool_is_deleted(self, host: str) -> None:
        self.killed(host)
        shutil.rmtree(self.root / host, ignore_errors=True)

    # what always holds

    @invariant()
    def no_row_is_visible_twice(self) -> None:
        seen = Counter(message.id for message in self.kafka.visible())
        assert [each for each, n in seen.items() if n > 1] == []

    @invariant()
    def the_offset_records_count_what_is_visible(self) -> None:
        view = self.kafka.offsets("source")
        counted = {lane: stored.record.records for lane, stored in view.lanes.items()}
        seen = Counter(
            Lane.CRITICAL if message.json()["station"] in URGENT else Lane.NORMAL
            for message in self.kafka.visible()
        )
        assert counted == dict(seen)

    @invariant()
    def no_revision_repeats_what_was_said_before_it(self) -> None:
        said = defaultdict(list)
        for message in self.kafka.visible():
            value = message.json()
            said[value["id"]].append((value["revision"], value["value"]))
        for revisions in said.values():
            ordered = sorted(revisions)
            assert [n for n, _ in ordered] == sorted({n for n, _ in ordered})
            values = [value for _, value in ordered]
            consecutive = [n for n, _ in ordered] == list(range(len(ordered)))
            assert not consecutive or all(a != b for a, b in pairwise(values))

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            for host in list(self.running):
                self.kill(host)
            shutil.rmtree(self.root, ignore_errors=True)

    def finish(self) -> None:
        """The faults end, one host runs on: everything that is served is visible."""
        self.kafka.go_away(0)
        self.kafka.deliver_late()
        self.kafka._outcomes.clear()
        self.kafka._failures.clear()
        for host in list(self.running):
            self.kill(host)
        last = self.running["a"] = Process(self, self.root / "a")
        last.recover(take_over=True)
        last.poll()
        last.publish(0)
        last.publish(1)
        self.no_row_is_visible_twice()
        self.the_offset_records_count_what_is_visible()
        newest: dict[str, tuple[int, float]] = {}
        for message in self.kafka.visible():
            value = message.json()
            newest[value["station"]] = max(
                newest.get(value["station"], (-1, 0.0)), (value["revision"], value["value"])
            )
        assert {key: value for key, (_, value) in newest.items()} == {
            **{key: value for key, (_, value) in newest.items()},
            **self.rows,
        }
        books = last.bench.spool.ledger()
        assert (books.pending, books.faults()) == (0, ())
        told = [event.reason for event in last.bench.events.of(Degraded)]
        assert [reason for reason in told if "audit" in reason] == []


TestProtocol = ProtocolMachine.TestCase
TestProtocol.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
