"""What must be done so that the cluster's topics are as declared, and the doing of it.

`decide` is pure; `plan` reads the cluster, `sync` changes it and repeats nothing that is done.
Nothing is ever deleted or shrunk.  Source: kafka.apache.org/44, "Topic Configs", read 2026-11.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from wildfire_ingest.delivery.kafka_errors import classify, mapped
from wildfire_ingest.delivery.settings import KafkaSettings, TopicSettings
from wildfire_ingest.errors import BrokerUnavailable, ConfigError
from wildfire_ingest.offset import PARTITIONS

REQUEST_S = 15.0
DEAD_LETTER_RETENTION_MS = 30 * 86_400_000
"""A person looks at dead letters later than at records."""
_SAFE_CLUSTER = 3
"""From so many brokers on, a second and third copy cost nothing but disk."""

_REFUSED_BY_KAFKA = frozenset(
    {
        "INVALID_CONFIG",
        "INVALID_PARTITIONS",
        "INVALID_REPLICATION_FACTOR",
        "INVALID_REQUEST",
        "POLICY_VIOLATION",
        "TOPIC_EXCEPTION",
    }
)
"""Answers that stay the same until the declaration changes."""

Action = Literal["create", "add partitions", "alter config", "nothing", "refuse"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One property: what the cluster has (None: nothing), and what is declared."""

    name: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to one topic; `refuse` says in `reason` why it is not done."""

    topic: TopicSettings
    action: Action
    differences: tuple[Difference, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        changes = ", ".join(
            f"{one.name} {one.found or 'unset'} -> {one.wanted}" for one in self.differences
        )
        words = [f"{self.topic.name}: {self.action}", changes, self.reason]
        return "; ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster has it."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def offsets_topic(name: str, replication_factor: int) -> TopicSettings:
    """The topic of the offset records: compacted, in small segments so that it is read quickly."""
    return TopicSettings(
        name=name,
        partitions=PARTITIONS,
        replication_factor=replication_factor,
        compression_type="producer",
        cleanup_policy="compact",
        config={
            "segment.bytes": str(16 << 20),
            "segment.ms": "600000",
            "min.cleanable.dirty.ratio": "0.1",
        },
    )


def dead_letter_topic(name: str, replication_factor: int) -> TopicSettings:
    """The topic of the dead letters, kept for 30 days."""
    return TopicSettings(
        name=name,
        partitions=1,
        replication_factor=replication_factor,
        retention_ms=DEAD_LETTER_RETENTION_MS,
        compression_type="producer",
    )


def with_own_topics(
    declared: Sequence[TopicSettings], settings: KafkaSettings
) -> list[TopicSettings]:
    """The declared topics and those of ours that are not; ours get the highest copy count."""
    names = {topic.name for topic in declared}
    copies = max((topic.replication_factor for topic in declared), default=1)
    own = [offsets_topic(settings.offsets_topic, copies)]
    if settings.dlq_enabled:
        own.append(dead_letter_topic(settings.dlq_topic, copies))
    return [*declared, *(topic for topic in own if topic.name not in names)]


def topic_config(topic: TopicSettings) -> dict[str, str]:
    """The topic's properties in Kafka's names; only these are compared and set."""
    compression = "uncompressed" if topic.compression_type == "none" else topic.compression_type
    config = {"cleanup.policy": topic.cleanup_policy, "compression.type": compression}
    if "delete" in topic.cleanup_policy:
        config["retention.ms"] = str(topic.retention_ms)
    if topic.min_insync_replicas is not None:
        config["min.insync.replicas"] = str(topic.min_insync_replicas)
    return {**config, **topic.config}


def decide(topic: TopicSettings, found: Found | None) -> list[Step]:
    """The steps for one topic, never empty."""
    config = topic_config(topic)
    copies_needed = int(config.get("min.insync.replicas", "1"))
    copies = topic.replication_factor if found is None else found.replication_factor
    if copies_needed > copies:
        reason = f"min.insync.replicas {copies_needed} is more than its {copies} replica(s)"
        return [Step(topic, "refuse", reason=f"{reason}: no record could be written")]
    if found is None:
        wanted = {"partitions": topic.partitions, "replication.factor": topic.replication_factor}
        new = {**{name: str(value) for name, value in wanted.items()}, **config}
        return [Step(topic, "create", tuple(Difference(k, None, v) for k, v in new.items()))]
    steps = [*_copies_step(topic, found), *_partitions_step(topic, found)]
    changes = tuple(
        Difference(name, found.config.get(name), value)
        for name, value in config.items()
        if _normal(found.config.get(name)) != _normal(value)
    )
    if changes:
        steps.append(Step(topic, "alter config", changes))
    return steps or [Step(topic, "nothing")]


def _normal(value: str | None) -> list[str] | None:
    """Lists such as `compact,delete` have no order."""
    return None if value is None else sorted(part.strip() for part in value.split(","))


def _copies_step(topic: TopicSettings, found: Found) -> list[Step]:
    if found.replication_factor == topic.replication_factor:
        return []
    found_copies, wanted = str(found.replication_factor), str(topic.replication_factor)
    change = (Difference("replication.factor", found_copies, wanted),)
    reason = "move its replicas with kafka-reassign-partitions, or declare what it has"
    return [Step(topic, "refuse", change, reason)]


def _partitions_step(topic: TopicSettings, found: Found) -> list[Step]:
    if found.partitions == topic.partitions:
        return []
    change = (Difference("partitions", str(found.partitions), str(topic.partitions)),)
    if topic.partitions < found.partitions:
        reason = "Kafka cannot remove partitions: declare what it has, or use a new topic"
        return [Step(topic, "refuse", change, reason)]
    if "compact" in topic.cleanup_policy:
        reason = "it is compacted: its keys would move away from their older records"
        return [Step(topic, "refuse", change, reason)]
    reason = "keys move to other partitions; order per key holds again from here on"
    return [Step(topic, "add partitions", change, reason)]


def copy_warnings(declared: Sequence[TopicSettings], brokers: int) -> list[str]:
    """One line for each topic that one lost broker would lose although the cluster has others."""
    if brokers < _SAFE_CLUSTER:
        return []
    return [
        f"{topic.name}: replication factor 1 on a cluster of {brokers} brokers: when its broker"
        " is down it cannot be written, when the disk is lost so are its records; use 3"
        for topic in declared
        if topic.replication_factor == 1
    ]


def plan(admin: AdminClient, declared: Sequence[TopicSettings]) -> list[Step]:
    """What sync() would do; changes nothing.  Raises DeliveryError when the cluster cannot say."""
    found = _read(admin, [topic.name for topic in declared])
    return [step for topic in declared for step in decide(topic, found.get(topic.name))]


def warnings(admin: AdminClient, declared: Sequence[TopicSettings]) -> list[str]:
    """What a person should know of the declared topics on this cluster."""
    with mapped("asking the cluster for its brokers"):
        brokers = len(admin.list_topics(timeout=REQUEST_S).brokers)
    return copy_warnings(declared, brokers)


def sync(admin: AdminClient, declared: Sequence[TopicSettings]) -> list[Step]:
    """Do what plan() says and return it; where a step is refused nothing is done at all.

    Raises ConfigError with every refusal, DeliveryError when the cluster does not do a step.
    """
    steps = plan(admin, declared)
    refused = [str(step) for step in steps if step.action == "refuse"]
    if refused:
        raise ConfigError("no topic was changed, because of: " + " | ".join(refused))
    for step in steps:
        _apply(admin, step)
    _wait_until_visible(admin, [one.topic for one in steps if one.action != "nothing"])
    return steps


def _apply(admin: AdminClient, step: Step) -> None:
    name = step.topic.name
    if step.action == "create":
        _create(admin, step.topic)
    elif step.action == "add partitions":
        new = NewPartitions(name, step.topic.partitions)
        _result(admin.create_partitions([new])[name], f"adding partitions to {name}")
    elif step.action == "alter config":
        entries = [
            ConfigEntry(one.name, one.wanted, incremental_operation=AlterConfigOpType.SET)
            for one in step.differences
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        (future,) = admin.incremental_alter_configs([resource]).values()
        _result(future, f"changing the configuration of {name}")


def _create(admin: AdminClient, topic: TopicSettings) -> None:
    new = NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config=topic_config(topic),
    )
    future = admin.create_topics([new], request_timeout=REQUEST_S)[topic.name]
    # Two processes may start at once; the other one's topic is ours.
    _result(future, f"creating topic {topic.name}", but_not="TOPIC_ALREADY_EXISTS")


def _result(future: Future[Any], doing: str, *, but_not: str = "") -> Any:
    """What the broker answered; None for the error `but_not`."""
    try:
        return future.result(REQUEST_S)
    except TimeoutError as error:
        raise BrokerUnavailable(f"{doing}: no answer in {REQUEST_S:.0f} s") from error
    except KafkaException as error:
        problem = classify(error, doing)
        if problem.code == but_not:
            return None
        if problem.code in _REFUSED_BY_KAFKA:
            raise ConfigError(f"{problem}: change the topic's declaration") from error
        raise problem from error


def _read(admin: AdminClient, names: Sequence[str]) -> dict[str, Found]:
    """The topics of `names` that the cluster has."""
    with mapped("asking the cluster for its topics"):
        topics = admin.list_topics(timeout=REQUEST_S).topics
    existing = [name for name in names if name in topics and topics[name].error is None]
    if not existing:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in existing]
    futures = admin.describe_configs(resources, request_timeout=REQUEST_S)
    configs = {
        resource.name: _result(future, f"reading the configuration of {resource.name}")
        for resource, future in futures.items()
    }
    return {
        name: Found(
            partitions=len(topics[name].partitions),
            replication_factor=min(len(one.replicas) for one in topics[name].partitions.values()),
            config={key: entry.value for key, entry in configs[name].items()},
        )
        for name in existing
    }


def _wait_until_visible(admin: AdminClient, changed: Sequence[TopicSettings]) -> None:
    """A broker may answer for a moment as if a new topic or partition did not exist."""
    deadline = time.monotonic() + REQUEST_S
    pause = threading.Event()
    while not _are_visible(admin, changed):
        if time.monotonic() > deadline:
            names = ", ".join(topic.name for topic in changed)
            raise BrokerUnavailable(f"not visible after {REQUEST_S:.0f} s: {names}")
        pause.wait(0.05)


def _are_visible(admin: AdminClient, changed: Sequence[TopicSettings]) -> bool:
    if not changed:
        return True
    with mapped("asking the cluster for its new topics"):
        topics = admin.list_topics(timeout=REQUEST_S).topics
    return all(
        topic.name in topics
        and len(topics[topic.name].partitions) >= topic.partitions
        and all(one.leader >= 0 for one in topics[topic.name].partitions.values())
        for topic in changed
    )
