"""Health in Dagster: one asset of this process's instance, with a check for each kind of part.

A sensor looks every so often and tells only what has changed, because each telling costs the
database 20 KB; the job tells at once.  Each telling is a materialization: the asset is the report,
and Dagster shows one that was only observed as missing.  Seconds.  Annotations are not postponed
here: Dagster reads the types of a sensor's parameters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import msgspec

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.observe.health import (
    NOT_POLLED,
    NOT_RUN,
    VERDICTS,
    Finding,
    Health,
    Part,
    health,
    worst,
)
from wildfire_ingest.orchestration.batch import QUIET
from wildfire_ingest.sources.catalog import CONNECTORS

PARTS: dict[Part, str] = {
    "broker": "The cluster answers and has the topics.",
    "spool": "Every source's spool can be read, closes its books and is emptied in time.",
    "api": "Every source's API may be asked and was asked lately.",
}
LEAST_INTERVAL_S = 30
TOLD_EVERY_S = 900
BUDGET_S = 20.0
"""Dagster gives a tick 60 s, and goes on with it after that."""
MAX_ROWS = 10
HealthEvent = dg.AssetMaterialization | dg.AssetCheckEvaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthObjects:
    """What Dagster gets."""

    assets: Sequence[dg.AssetSpec]
    checks: Sequence[dg.AssetChecksDefinition]
    jobs: Sequence[dg.JobDefinition]
    sensors: Sequence[dg.SensorDefinition]


class _Memory(msgspec.Struct):
    """What the last telling said: the sensor's cursor."""

    told_at_s: int = 0
    bad: dict[str, str] = msgspec.field(default_factory=dict)
    """`part name` -> verdict, of what is not well; `new` of what has still to begin."""


def health_objects(config: StreamConfig) -> HealthObjects:
    """`wildfire/health/<instance>`, its checks, the job `health` and the sensor `health`."""
    return HealthObjects(
        assets=[
            dg.AssetSpec(
                key=health_key(config),
                group_name="health",
                kinds={"python"},
                description="Broker, spools and APIs, as `wildfire-ingest health` tells them.",
            )
        ],
        checks=[_checks(config)],
        jobs=[_job(config)],
        sensors=[_sensor(config)],
    )


def health_key(config: StreamConfig) -> dg.AssetKey:
    """`wildfire/health/<instance>`: one for each code location."""
    return dg.AssetKey(["wildfire", "health", config.instance or "default"])


def look(config: StreamConfig) -> Health:
    """The health of what this process owns."""
    owned = [source for source in config.owned_sources if source.source_type in CONNECTORS]
    return health(config, owned, timeout_s=min(config.health_check.timeout_seconds, BUDGET_S))


def events(config: StreamConfig, found: Health) -> list[HealthEvent]:
    """A materialization with the table, and a check's verdict for each part."""
    key = health_key(config)
    graver = sorted(found.findings, key=lambda one: -VERDICTS.index(one.verdict))
    rows = [
        dg.TableRecord({"part": x.part, "name": x.name, "verdict": x.verdict, "reason": x.reason})
        for x in graver[:MAX_ROWS]
    ]
    metadata: dict[str, Any] = {
        "verdict": found.verdict,
        "degraded": sum(one.verdict == "degraded" for one in found.findings),
        "down": sum(one.verdict == "down" for one in found.findings),
        "findings": dg.MetadataValue.table(rows) if rows else "nothing to look at",
    }
    return [
        dg.AssetMaterialization(key, metadata=metadata),
        *(
            dg.AssetCheckEvaluation(asset_key=key, check_name=part, **_verdict(found.of(part)))
            for part in PARTS
        ),
    ]


def _verdict(findings: Sequence[Finding]) -> dict[str, Any]:
    """What a check of these findings says."""
    verdict = worst(one.verdict for one in findings)
    bad = [f"{one.name}: {one.reason}" for one in findings if one.verdict != "ok"]
    return {
        "passed": verdict == "ok",
        "severity": dg.AssetCheckSeverity.ERROR
        if verdict == "down"
        else dg.AssetCheckSeverity.WARN,
        "description": " | ".join(bad[:MAX_ROWS]) or f"{len(findings)} looked at, all well",
    }


def _checks(config: StreamConfig) -> dg.AssetChecksDefinition:
    key = health_key(config)
    specs = [dg.AssetCheckSpec(part, asset=key, description=words) for part, words in PARTS.items()]

    @dg.multi_asset_check(name="checks_health", specs=specs, description="Looks now.")
    def judge() -> Iterator[dg.AssetCheckResult]:
        found = look(config)
        for part in PARTS:
            verdict = _verdict(found.of(part))
            yield dg.AssetCheckResult(asset_key=key, check_name=part, **verdict)

    return judge


def _job(config: StreamConfig) -> dg.JobDefinition:
    @dg.op(name="look_at_health", out=dg.Out(dg.Nothing), description="Looks and tells.")
    def look_at_health(context: dg.OpExecutionContext) -> None:
        told: list[Any] = [*events(config, look(config))]  # it takes checks; its type says not
        for event in told:
            context.log_event(event)

    @dg.job(
        name="health",
        description="Looks at broker, spools and APIs now.",
        config=QUIET,
        executor_def=dg.in_process_executor,
    )
    def health_job() -> None:
        look_at_health()

    return health_job


def _sensor(config: StreamConfig) -> dg.SensorDefinition:
    wanted = config.health_check.enabled

    @dg.sensor(
        name="health",
        minimum_interval_seconds=max(int(config.health_check.interval_seconds), LEAST_INTERVAL_S),
        default_status=dg.DefaultSensorStatus.RUNNING if wanted else dg.DefaultSensorStatus.STOPPED,
        description="Looks at broker, spools and APIs; tells what has changed.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found = look(config)
        memory, now_s = _remembered(context.cursor), SystemClock().now_us() // SECOND_US
        bad = _unusual(found)
        if memory.bad == bad and 0 <= now_s - memory.told_at_s < TOLD_EVERY_S:
            return dg.SensorResult(skip_reason=f"{found.verdict}, as before")
        cursor = msgspec.json.encode(_Memory(now_s, dict(bad))).decode()
        told = f"{found.verdict}: told"  # Dagster calls the result empty otherwise
        return dg.SensorResult(skip_reason=told, asset_events=events(config, found), cursor=cursor)

    return watch


def _unusual(found: Health) -> dict[str, str]:
    """What is told when it changes."""
    words = {
        f"{x.part} {x.name}": "new" if x.reason in {NOT_RUN, NOT_POLLED} else x.verdict
        for x in found.findings
    }
    return {part: word for part, word in words.items() if word != "ok"}


def _remembered(cursor: str | None) -> _Memory:
    """What the cursor holds; one of another version tells anew."""
    try:
        return msgspec.json.decode(cursor or "{}", type=_Memory)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Memory()
