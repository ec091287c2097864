"""How many records the configured consumer groups are behind, asked of the brokers.

lag = end - max(committed, earliest), never below 0: retention moves earliest past a commit, and
the three answers are not of one instant.  The end is the last stable one (READ_COMMITTED), so
records of an open transaction do not count; transaction markers do, one per transaction.
An unknown lag is None and never 0.  Offsets are requested for explicit partitions, because a
group that never committed answers an empty list otherwise.  Times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, Protocol

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from wildfire_ingest.clock import SECOND_US, Clock, SystemClock

Conf = Mapping[str, str | int | float | bool]
"""librdkafka properties."""
Key = tuple[str, int]
"""Topic and partition."""


_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # partial stubs
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # partial stubs


class Admin(Protocol):
    """What is used of confluent_kafka's AdminClient."""

    def list_topics(self, *, timeout: float) -> Any: ...
    def list_offsets(
        self,
        specs: dict[TopicPartition, OffsetSpec],
        /,
        *,
        isolation_level: IsolationLevel,
        request_timeout: float,
    ) -> dict[TopicPartition, Future[Any]]: ...
    def list_consumer_group_offsets(
        self, groups: list[ConsumerGroupTopicPartitions], /, *, request_timeout: float
    ) -> dict[str, Future[Any]]: ...


class LagReader:
    """Reads lags through one AdminClient; for one thread, every few seconds."""

    def __init__(
        self,
        conf: Conf,
        *,
        admin: Callable[[Conf], Admin] | None = None,
        clock: Clock | None = None,
        request_timeout_s: float = 5.0,
        partitions_kept_s: float = 60.0,
    ) -> None:
        self._admin = (admin or _admin_client)(conf)
        self._clock = clock or SystemClock()
        self._request_timeout_s = request_timeout_s
        self._partitions_kept_s = partitions_kept_s
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._listed_at_us: int | None = None
        self._not_listed = ""
        self._why_unknown: dict[str, str] = {}

    @property
    def why_unknown(self) -> Mapping[str, str]:
        """For each topic whose last reading was None, the reason."""
        return dict(self._why_unknown)

    def read(self, groups_by_topic: Mapping[str, tuple[str, ...]]) -> dict[str, int | None]:
        """The largest lag of each topic over its groups; None = unknown, see `why_unknown`.

        Topics without a group are left out.  Takes at most about two request time-outs.
        """
        wanted = {topic: groups for topic, groups in groups_by_topic.items() if groups}
        self._why_unknown = {}
        if not wanted:
            return {}
        self._list_partitions(wanted)
        known = {topic: groups for topic, groups in wanted.items() if topic in self._partitions}
        reading = _Reading(self._admin, self._partitions, known, self._request_timeout_s)
        return {topic: self._lag(reading, topic, groups) for topic, groups in wanted.items()}

    def _lag(self, reading: _Reading, topic: str, groups: tuple[str, ...]) -> int | None:
        try:
            if topic in self._partitions:
                return max(reading.lag(topic, group) for group in groups)
            why = self._not_listed
        except _UnknownLagError as unknown:
            why = str(unknown)
        self._why_unknown[topic] = why
        self._listed_at_us = None  # the topic may have changed: list it anew
        return None

    def _list_partitions(self, topics: Iterable[str]) -> None:
        now_us = self._clock.monotonic_us()
        kept_us = self._partitions_kept_s * SECOND_US
        if self._listed_at_us is not None and now_us - self._listed_at_us < kept_us:
            return
        self._partitions = {}
        try:
            # All topics: asking for one by name could create it.
            listed = self._admin.list_topics(timeout=self._request_timeout_s).topics
        except KafkaException as failure:
            self._not_listed = f"no list of topics: {_text(failure)}"
            return
        self._not_listed = "the cluster shows no such topic"
        self._listed_at_us = now_us
        for topic in topics:
            found = listed.get(topic)
            if found is not None and found.error is None and found.partitions:
                self._partitions[topic] = tuple(sorted(found.partitions))


class _UnknownLagError(Exception):
    """The lag cannot be told; the text says why."""


class _Reading:
    """All requests of one reading, sent at once and awaited one by one."""

    def __init__(
        self,
        admin: Admin,
        partitions: Mapping[str, tuple[int, ...]],
        groups_by_topic: Mapping[str, tuple[str, ...]],
        timeout_s: float,
    ) -> None:
        self._timeout_s = timeout_s
        self._partitions = partitions
        self._ends: dict[Key, Future[Any]] = {}
        self._starts: dict[Key, Future[Any]] = {}
        self._commits: dict[str, Future[Any]] = {}
        self._failed = ""
        if not groups_by_topic:
            return
        try:
            self._ask(admin, groups_by_topic)
            # Each request has its own time-out; this one is for an answer that never comes.
            wait(self._futures(), timeout=timeout_s + 1.0)
        except KafkaException as failure:
            self._failed = _text(failure)

    def _ask(self, admin: Admin, groups_by_topic: Mapping[str, tuple[str, ...]]) -> None:
        every = [key for topic in groups_by_topic for key in self._keys(topic)]
        self._ends = self._offsets(admin, every, _LATEST)
        self._starts = self._offsets(admin, every, _EARLIEST)
        for group in sorted({group for groups in groups_by_topic.values() for group in groups}):
            its = [
                TopicPartition(*key)
                for topic, groups in groups_by_topic.items()
                if group in groups
                for key in self._keys(topic)
            ]
            # One group a call: librdkafka refuses more.
            asked = admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, its)], request_timeout=self._timeout_s
            )
            self._commits.update(asked)

    def _offsets(self, admin: Admin, keys: list[Key], spec: OffsetSpec) -> dict[Key, Future[Any]]:
        futures = admin.list_offsets(
            {TopicPartition(*key): spec for key in keys},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._timeout_s,
        )
        return {(each.topic, each.partition): future for each, future in futures.items()}

    def lag(self, topic: str, group: str) -> int:
        """The group's lag, its partitions together; a partition without a commit counts whole."""
        if self._failed:
            raise _UnknownLagError(self._failed)
        committed = self._committed(group)
        mine = {key: committed.get(key, -1) for key in self._keys(topic)}
        if all(offset < 0 for offset in mine.values()):
            raise _UnknownLagError(f"group {group!r} has no committed offset in {topic!r}")
        return sum(self._behind(key, offset) for key, offset in mine.items())

    def _behind(self, key: Key, committed: int) -> int:
        end = self._answer(self._ends.get(key), f"the end of {key[0]}-{key[1]}").offset
        start = self._answer(self._starts.get(key), f"the start of {key[0]}-{key[1]}").offset
        if end < 0 or start < 0:
            raise _UnknownLagError(f"{key[0]}-{key[1]} has no offsets")
        return max(0, int(end) - max(committed, int(start)))

    def _committed(self, group: str) -> dict[Key, int]:
        found = self._answer(self._commits.get(group), f"the offsets of group {group!r}")
        for each in found.topic_partitions:
            if each.error is not None:
                raise _UnknownLagError(f"group {group!r}: {each.error.str()}")
        return {(each.topic, each.partition): each.offset for each in found.topic_partitions}

    def _answer(self, future: Future[Any] | None, what: str) -> Any:
        if future is None or not future.done():
            raise _UnknownLagError(f"{what}: no answer in {self._timeout_s:g} s")
        try:
            return future.result()
        except KafkaException as failure:
            raise _UnknownLagError(f"{what}: {_text(failure)}") from None

    def _futures(self) -> list[Future[Any]]:
        return [*self._ends.values(), *self._starts.values(), *self._commits.values()]

    def _keys(self, topic: str) -> list[Key]:
        return [(topic, partition) for partition in self._partitions[topic]]


def _admin_client(conf: Conf) -> Admin:
    return AdminClient(dict(conf))


def _text(failure: KafkaException) -> str:
    cause = failure.args[0] if failure.args else failure
    return str(cause.str() if hasattr(cause, "str") else cause)
