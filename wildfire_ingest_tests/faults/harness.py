"""One source from a replayed API into a real Kafka, in this process or in one that is killed.

The judge is a consumer of its own (judge.read_committed) and an expectation of its own (fires).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient

from wildfire_ingest.assembly import running_source
from wildfire_ingest.config import build
from wildfire_ingest.config.loader import load
from wildfire_ingest.delivery import topics
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.events import Observer
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.faults import worker
from wildfire_ingest_tests.faults.fires import NOW_S, Expected, natural_of, said_of
from wildfire_ingest_tests.faults.worker import Job, Mode, ShiftedClock
from wildfire_ingest_tests.judge import Seen, read_committed

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([worker.__name__])
LANE_RULES = [
    {"field": "confidence", "equals": "high", "priority": "critical"},
    {"field": "confidence", "equals": "low", "priority": "low"},
]
"""So that one poll has loads of three lanes: both publishers work."""


class Worker:
    """A process that runs a job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._process = _FORKS.Process(target=worker.run, args=(job,), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, wait_s: float = 60.0) -> int:
        """Its exit code; -9 when it was killed."""
        self._process.join(wait_s)
        code = self._process.exitcode
        if code is None:
            self.kill()
            raise AssertionError(f"the worker did not end in {wait_s:.0f} s: {self.lines()[-5:]}")
        return code

    def wait_at_most(self, wait_s: float) -> None:
        """So long, or until it ends."""
        self._process.join(wait_s)

    def wait_until_stopped(self, wait_s: float = 30.0) -> None:
        """Until a SIGSTOP holds it (proc(5): state T)."""
        deadline = time.monotonic() + wait_s
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline, "it does not stand still"
            self.wait_at_most(0.01)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join(10)

    def lines(self, kind: str = "") -> list[dict[str, Any]]:
        """What this process has told so far."""
        if not self.job.outcome.exists():
            return []
        said = [json.loads(line) for line in self.job.outcome.read_text().splitlines()]
        mine = [line for line in said if line["pid"] == self.pid]
        return [line for line in mine if not kind or line["kind"] == kind]

    def wait_for(self, kind: str, count: int = 1, wait_s: float = 40.0) -> list[dict[str, Any]]:
        """Wait until it has told `count` lines of that kind."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            told = self.lines(kind)
            if len(told) >= count:
                return told
            if not self.is_running:
                break
            self._process.join(0.01)
        raise AssertionError(f"no {count} x {kind} in {wait_s:.0f} s: {self.lines()[-5:]}")

    @property
    def summary(self) -> dict[str, Any]:
        told = self.lines("summary") or self.lines("refused")
        assert told, f"the worker gave no summary: {self.lines()[-5:]}"
        return told[-1]


class Stream:
    """A source with topics, a state_dir and a simulated API of its own."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        polls: Sequence[bytes],
        *,
        now_s: int = NOW_S,
        source_id: str = "firms_test",
        product: str = "MODIS_NRT",
        lanes: bool = True,
        create: bool = True,
        topic_config: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.bootstrap, self.folder, self.source_id = bootstrap, folder, source_id
        self.bodies, self.now_us = list(polls), now_s * 1_000_000
        folder.mkdir(parents=True, exist_ok=True)
        self.site = ReplaySite(_files(folder, polls), advances="on_command", counts_rows=False)
        self.server = SimulatorServer(self.site)
        self.base_url = self.server.start()
        name = uuid.uuid4().hex[:10]
        self.topic, self.dlq, self.offsets = (f"{kind}-{name}" for kind in ("fires", "dlq", "k"))
        self._product, self._lanes = product, lanes
        self._topic_config, self._settings = topic_config or {}, settings
        self.workers: list[Worker] = []
        self.cursors: list[int] = []
        self.state = folder / "state"
        self.config = self.configure(self.state)
        self.loaded = load(self.config, environ={}).config
        if create:
            self.create_topics()

    def configure(self, state: Path, bootstrap: str = "", name: str = "stream_config.json") -> Path:
        """A configuration file, also for a second owner with a state of its own."""
        kafka = {"bootstrap_servers": bootstrap or self.bootstrap, "compression_type": "zstd"}
        own = {"dlq_topic": self.dlq, "offsets_topic": self.offsets}
        source = {
            "source_type": "nasa_firms",
            "base_url": self.base_url,
            "topic": self.topic,
            "priority": "normal",
            "window_days": 366,
            "cache_ttl_seconds": 0,
            "rate_limit_per_minute": 6000,
            "ingestion": {"mode": "batch", "schedule_interval_seconds": 3600},
            "custom_params": {"product": self._product, "feed": "static"},
        }
        tree: dict[str, Any] = {
            "state_dir": str(state),
            "throttling": {"max_send_rate": 0},
            "topics": {self.topic: {"partitions": 3, "config": self._topic_config}},
            "topic_rules": {"content": LANE_RULES if self._lanes else [], "patterns": []},
            "sources": {self.source_id: source},
            **{k: v for k, v in self._settings.items() if k != "kafka"},
            "kafka": {**kafka, **own, **self._settings.get("kafka", {})},
        }
        path = self.folder / name
        path.write_text(json.dumps(tree, indent=1))
        return path

    def create_topics(self) -> None:
        own = topics.with_own_topics(
            build.topic_settings(self.loaded), build.kafka_settings(self.loaded)
        )
        topics.sync(AdminClient({"bootstrap.servers": self.bootstrap}), own)

    # running

    def work(self, mode: Mode = "once", config: Path | None = None, **changes: Any) -> Worker:
        """Start a process; `wait()` for it."""
        engine = {"polling_interval_s": 0.02, **changes.pop("engine", {})}
        job = Job(
            config=config or self.config,
            source_id=self.source_id,
            outcome=self.folder / "outcome.jsonl",
            now_us=self.now_us,
            simulator=self.base_url,
            mode=mode,
            engine=engine,
            **changes,
        )
        started = Worker(job)
        self.workers.append(started)
        return started

    def finish(self, **changes: Any) -> dict[str, Any]:
        """Replay what is left in a process that nobody kills; its summary."""
        last = self.work("replay", **changes)
        assert last.wait(90) == 0
        assert last.summary["ending"] == "stopped", last.summary
        return last.summary

    @contextmanager
    def engine(
        self,
        *,
        config: Path | None = None,
        now_s: int | None = None,
        observer: Observer | None = None,
        take_over: bool = False,
    ) -> Iterator[Engine]:
        """The source in this process."""
        clock = ShiftedClock(self.now_us if now_s is None else now_s * 1_000_000)
        with running_source(
            load(config, environ={}).config if config else self.loaded,
            self.source_id,
            observer=observer,
            clock=clock,
            environ={},
            permissions=Permissions(take_over=take_over),
        ) as engine:
            yield engine

    def poll(self, **how: Any) -> Any:
        """One poll in this process, then on to the next recording; its summary."""
        with self.engine(**how) as engine:
            summary = engine.run_once()
        self.site.advance()
        self.note_cursor()
        return summary

    def lose_spool(self) -> None:
        """Someone deletes the state_dir."""
        shutil.rmtree(self.state)
        self.cursors.clear()

    # judging

    def note_cursor(self) -> Ledger:
        """Read the spool's books between runs: the cursor never goes back, the books close."""
        spool = Spool(build.spool_settings(self.loaded, self.source_id, window_s=366 * 86_400))
        try:
            cursor, ledger = spool.cursor(), spool.ledger()
        finally:
            spool.close()
        if cursor is not None:
            self.cursors.append(msgspec.json.decode(cursor)["polled_at_s"])
        assert self.cursors == sorted(self.cursors)
        assert ledger.faults() == ()
        return ledger

    def delivered(self) -> list[Seen]:
        return read_committed(self.bootstrap, [self.topic])

    def dead_letters(self) -> list[Seen]:
        return read_committed(self.bootstrap, [self.dlq])

    def must_hold(self, wanted: Expected, *, least: int = 1) -> Ledger:
        """Each expected record and bad row exactly once, nothing else; the books close."""
        counts, contents = self.judged()
        twice = [key for key, n in counts.items() if n > 1]
        lost = wanted.records.keys() - counts.keys()
        unknown = counts.keys() - wanted.records.keys()
        faults = {"twice": len(twice), "lost": len(lost), "unknown": len(unknown)}
        assert not any(faults.values()), f"{faults} of {len(wanted.records)}"
        assert contents == wanted.records
        assert len(counts) >= least
        letters = Counter(letter.value for letter in self.dead_letters())
        assert letters == wanted.rejects, f"dead letters: {letters}"
        ledger = self.note_cursor()
        assert ledger.pending == 0
        return ledger

    def judged(self) -> tuple[Counter[Any], dict[Any, tuple[Any, ...]]]:
        """How often each (identity, revision) is there, and what it says."""
        counts: Counter[Any] = Counter()
        contents: dict[Any, tuple[Any, ...]] = {}
        ids: dict[Any, str] = {}
        for record in self.delivered():
            assert record.value is not None
            value = json.loads(record.value)
            key = (natural_of(value), value["revision"])
            assert record.headers == []
            assert ids.setdefault(key[0], value["id"]) == value["id"]
            counts[key] += 1
            contents[key] = said_of(value)
        assert len(set(ids.values())) == len(ids)
        return counts, contents

    def close(self) -> None:
        for started in self.workers:
            if started.is_running:
                started.kill()
        self.server.stop()


def _files(folder: Path, polls: Sequence[bytes]) -> list[Path]:
    paths = []
    for n, body in enumerate(polls):
        paths.append(folder / f"poll_{n:03d}.csv")
        paths[-1].write_bytes(body)
    return paths
