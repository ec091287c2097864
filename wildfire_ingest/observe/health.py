"""Is it well: the broker, the spool of each source, each API; a verdict and a reason each.

Only reads and asks.  `ok` = nothing to do; `degraded` = it works on, somebody should look;
`down` = this part does not work.  Ages in seconds.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from confluent_kafka.admin import AdminClient

from wildfire_ingest.clock import SECOND_US, Clock, SystemClock
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.delivery import client_config, topics
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.errors import IngestError
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.observe.limits_view import LimitsView
from wildfire_ingest.observe.spool_view import left_behind
from wildfire_ingest.observe.status import SourceStatus, since, status

Verdict = Literal["ok", "degraded", "down"]
Part = Literal["broker", "spool", "api"]
VERDICTS: tuple[Verdict, ...] = ("ok", "degraded", "down")
OLD_PENDING_S = 600.0
"""A batch gives up after 120 s and the next one tries again: older means that none got through."""
LATE_POLLS, LEAST_LATE_S = 3, 300.0
QUOTA_PART = 0.9
PROBE_PART = 0.8
"""The cluster says why it does not answer before time is up."""
MAX_REASON_CHARS = 500
NOT_RUN, NOT_POLLED = "it has not run here yet", "no poll has succeeded here yet"
"""Of a source that has still to begin: nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of one thing."""

    part: Part
    name: str
    """A source's id; of the broker its address."""
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """Everything that was looked at."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return worst(one.verdict for one in self.findings)

    def of(self, part: Part) -> tuple[Finding, ...]:
        """The findings of one part."""
        return tuple(one for one in self.findings if one.part == part)

    def as_json(self) -> dict[str, Any]:
        """The same with plain values; keys are stable."""
        return {"verdict": self.verdict, "findings": [asdict(one) for one in self.findings]}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest; ok where there is none."""
    return max(verdicts, key=VERDICTS.index, default="ok")


Probe = Callable[[StreamConfig, float], Finding]


def health(
    config: StreamConfig,
    sources: Sequence[SourceModel],
    *,
    timeout_s: float | None = None,
    clock: Clock | None = None,
    probe: Probe | None = None,
) -> Health:
    """Look at the broker and at these sources; what does not answer in time is down."""
    timeout_s = config.health_check.timeout_seconds if timeout_s is None else timeout_s
    clock = clock or SystemClock()
    now_us, until_us = clock.now_us(), clock.monotonic_us() + int(timeout_s * SECOND_US)
    ask = probe or broker
    jobs: dict[tuple[Part, str], Callable[[], list[Finding]]] = {
        ("broker", config.kafka.bootstrap_servers): lambda: [ask(config, PROBE_PART * timeout_s)],
        **{("spool", s.source_id): _of_source(config, s, now_us) for s in sources},
    }
    begun = [_Answer(part, name, job) for (part, name), job in jobs.items()]
    findings: list[Finding] = []
    for answer in begun:
        left_s = max(0.0, (until_us - clock.monotonic_us()) / SECOND_US)
        findings += answer.within(left_s, f"no answer in {timeout_s:g} s")
    return Health((*findings, *_left_behind(config)))


def _left_behind(config: StreamConfig) -> list[Finding]:
    """Records of a source that was renamed, removed or disabled go nowhere, and say nothing."""
    running = {source.source_id for source in config.sources.values() if source.enabled}
    return [
        Finding(
            "spool",
            source_id,
            "degraded",
            f"{pending:,} records wait, and no enabled source has this id: with the source in the"
            f" configuration, also disabled, wildfire-ingest recover {source_id} delivers them",
        )
        for source_id, pending in left_behind(config.state_dir, running).items()
    ]


class _Answer:
    """A question asked in a thread of its own: one that hangs holds up no other."""

    def __init__(self, part: Part, name: str, ask: Callable[[], list[Finding]]) -> None:
        self._part: Part = part
        self._name = name
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, args=(ask,), daemon=True)
        self._thread.start()

    def within(self, seconds: float, late: str) -> list[Finding]:
        """What was found by then, else that it is `late`."""
        self._thread.join(seconds)
        return self._found or [Finding(self._part, self._name, "down", late)]

    def _run(self, ask: Callable[[], list[Finding]]) -> None:
        try:
            self._found = ask()
        except Exception as error:  # noqa: BLE001 - one part's error is not another's
            reason = f"could not be looked at ({type(error).__name__}: {error})"
            self._found = [Finding(self._part, self._name, "down", _shown(reason))]


def broker(config: StreamConfig, timeout_s: float) -> Finding:
    """Whether the cluster answers and has the topics that are declared, and those of our own."""
    kafka = build.kafka_settings(config)
    name = kafka.bootstrap_servers
    declared = topics.with_own_topics(build.topic_settings(config), kafka)
    try:
        with mapped("asking for metadata"):
            found = AdminClient(client_config.common(kafka)).list_topics(timeout=timeout_s)
    except IngestError as error:
        return Finding("broker", name, "down", _shown(str(error)))
    missing = [topic.name for topic in declared if topic.name not in found.topics]
    brokers = len(found.brokers)
    if kafka.offsets_topic in missing:
        reason = f"the topic of the offset records, {kafka.offsets_topic}, is missing"
        return Finding("broker", name, "down", f"{reason}: wildfire-ingest topics sync")
    if missing:
        reason = f"topics are missing: {', '.join(missing)}: wildfire-ingest topics sync"
        return Finding("broker", name, "degraded", _shown(reason))
    return Finding("broker", name, "ok", f"{brokers} broker(s), {len(declared)} topics")


def _of_source(
    config: StreamConfig, source: SourceModel, now_us: int
) -> Callable[[], list[Finding]]:
    def look() -> list[Finding]:
        found = status(config, source.source_id, now_us)
        free = _free_bytes(config.state_dir)
        return [spool(found, free, config.min_free_disk_bytes), api(found, source)]

    return look


def spool(found: SourceStatus, free_bytes: int, least_free_bytes: int) -> Finding:
    """Whether the source's spool can be read, closes its books, and is emptied in time."""
    verdict, reason = _spool(found, free_bytes, least_free_bytes)
    return Finding("spool", found.source_id, verdict, _shown(reason))


def _spool(found: SourceStatus, free_bytes: int, least_free_bytes: int) -> tuple[Verdict, str]:
    if found.damage:
        return "down", found.damage
    if free_bytes < least_free_bytes:
        wanted = f"min_free_disk_bytes is {least_free_bytes:,}"
        return "down", f"{free_bytes:,} bytes of disk are free, {wanted}: polling waits"
    trouble = _books(found)
    if trouble:
        return "down", trouble
    pending = found.spool.ledger.pending if found.spool else 0
    age_s = found.oldest_pending_age_s
    if age_s is not None and age_s > OLD_PENDING_S:
        return "degraded", f"{pending:,} records wait, the oldest for {_words(age_s)}"
    if free_bytes < 2 * least_free_bytes:
        return "degraded", f"{free_bytes:,} bytes of disk are free: below half of that polling ends"
    return "ok", f"{pending:,} records wait" if found.spool else NOT_RUN


def _books(found: SourceStatus) -> str:
    """What keeps a readable spool from being published; empty where nothing does."""
    if found.spool is None:
        return ""
    if faults := found.spool.ledger.faults():
        return "the books do not close: " + "; ".join(faults)
    if "superseded" in found.spool.owner_epochs:
        way = f"wildfire-ingest recover {found.source_id} --take-over"
        return f"another owner has taken the source over; only when that is gone: {way}"
    return ""


def api(found: SourceStatus, source: SourceModel) -> Finding:
    """Whether the source's API may be asked, and was asked lately."""
    verdict, reason = _api(found, source)
    return Finding("api", found.source_id, verdict, _shown(reason))


def _api(found: SourceStatus, source: SourceModel) -> tuple[Verdict, str]:
    if found.paused is not None:
        began = since(found.paused)
        why = f"({found.paused.reason})" if found.paused.reason else ""
        return "ok", " ".join(filter(None, ["paused", began and f"since {began}", why]))
    return _circuit(found.limits) or _limits(found.limits) or _polled(found, source)


def _circuit(limits: LimitsView) -> tuple[Verdict, str] | None:
    failed = f"{limits.failures_in_a_row} requests in a row have failed"
    match limits.circuit:
        case "open":
            return "down", f"{failed}; a trial follows in {limits.opens_again_in_s or 0:.0f} s"
        case "half_open":
            return "degraded", f"{failed}; on trial"
        case "unknown":
            return "degraded", "the shared limits cannot be read"
        case "closed":
            return None


def _limits(limits: LimitsView) -> tuple[Verdict, str] | None:
    if limits.paused_for_s is not None:
        return "degraded", f"the API has asked to wait; {_words(limits.paused_for_s)} are left"
    units, spent = limits.quota_units, limits.quota_spent
    if units is not None and spent > QUOTA_PART * units:
        return "degraded", f"{spent:g} of the quota's {units:g} units are spent"
    return None


def _polled(found: SourceStatus, source: SourceModel) -> tuple[Verdict, str]:
    age_s = found.last_poll_age_s
    if age_s is None:
        return "ok", NOT_POLLED
    reason = f"the last good poll was {_words(age_s)} ago"
    # A real_time sensor looks and polls only for news: how long ago that was says nothing.
    late_s = max(LATE_POLLS * source.longest_poll_gap_s, LEAST_LATE_S)
    if source.ingestion.mode != "real_time" and age_s > late_s:
        return "degraded", f"{reason}; expected every {_words(source.longest_poll_gap_s)}"
    return "ok", reason


def _free_bytes(directory: Path) -> int:
    """Of the disk that holds it, also before it exists."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _words(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _shown(reason: str) -> str:
    """Without secrets, in bounded length: it goes to a terminal and into Dagster's database."""
    return REDACTOR.clean(reason)[:MAX_REASON_CHARS]
