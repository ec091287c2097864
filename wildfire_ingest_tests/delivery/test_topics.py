"""Topics become what is declared, step by step, and nothing is ever lost for it."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.delivery.settings import KafkaSettings, TopicSettings
from wildfire_ingest.delivery.topics import (
    Difference,
    Found,
    copy_warnings,
    dead_letter_topic,
    decide,
    offsets_topic,
    plan,
    sync,
    topic_config,
    warnings,
    with_own_topics,
)
from wildfire_ingest.errors import BrokerUnavailable, ConfigError
from wildfire_ingest_tests.judge import values

SETTINGS = st.builds(
    TopicSettings,
    name=st.just("fires"),
    partitions=st.integers(1, 12),
    replication_factor=st.integers(1, 3),
    retention_ms=st.sampled_from([-1, 1000, 604_800_000]),
    compression_type=st.sampled_from(["none", "gzip", "zstd", "producer"]),
    cleanup_policy=st.sampled_from(["delete", "compact", "compact,delete"]),
)


def _found(topic, **changes):
    now = {
        "partitions": topic.partitions,
        "replication_factor": topic.replication_factor,
        "config": {"segment.ms": "604800000", **topic_config(topic)},
    }
    return Found(**{**now, **changes})


def _actions(steps):
    return [step.action for step in steps]


@given(SETTINGS)
def test_a_topic_that_is_as_declared_needs_nothing(topic):
    assert _actions(decide(topic, _found(topic))) == ["nothing"]


@given(SETTINGS, SETTINGS)
def test_no_step_ever_takes_partitions_away(declared, other):
    found = _found(other)

    steps = decide(declared, found)

    grown = [step for step in steps if step.action == "add partitions"]
    assert all(declared.partitions > found.partitions for _ in grown)
    if declared.partitions < found.partitions:
        assert "refuse" in _actions(steps)


@given(SETTINGS, SETTINGS)
def test_every_declared_property_that_differs_is_named(declared, other):
    found = _found(other)
    different = {
        name
        for name, value in topic_config(declared).items()
        if sorted(found.config.get(name, "").split(",")) != sorted(value.split(","))
    }

    named = {one.name for step in decide(declared, found) for one in step.differences}

    assert named - {"partitions", "replication.factor"} == different


def test_a_missing_topic_is_created_with_all_it_needs():
    topic = TopicSettings(name="fires", partitions=8, replication_factor=3, min_insync_replicas=2)

    (step,) = decide(topic, None)

    assert step.action == "create"
    assert Difference("partitions", None, "8") in step.differences
    assert Difference("min.insync.replicas", None, "2") in step.differences


def test_more_partitions_are_added_and_the_price_is_said():
    topic = TopicSettings(name="fires", partitions=8)

    (step,) = decide(topic, _found(topic, partitions=4))

    assert str(step) == (
        "fires: add partitions; partitions 4 -> 8;"
        " keys move to other partitions; order per key holds again from here on"
    )


def test_fewer_partitions_are_refused_with_the_way_out():
    topic = TopicSettings(name="fires", partitions=4)

    (step,) = decide(topic, _found(topic, partitions=8))

    assert step.action == "refuse"
    assert "partitions 8 -> 4" in str(step)
    assert "declare what it has, or use a new topic" in str(step)


def test_a_compacted_topic_never_gets_more_partitions():
    topic = offsets_topic("offsets", 1)

    (step,) = decide(topic, _found(topic, partitions=4))

    assert step.action == "refuse"
    assert "keys would move away" in step.reason


def test_another_replication_factor_is_refused_and_both_numbers_are_said():
    topic = TopicSettings(name="fires", replication_factor=3)

    (step,) = decide(topic, _found(topic, replication_factor=1))

    assert step.action == "refuse"
    assert "replication.factor 1 -> 3" in str(step)


def test_more_replicas_in_sync_than_replicas_is_refused():
    topic = TopicSettings(name="fires", replication_factor=1, min_insync_replicas=2)

    (step,) = decide(topic, None)

    assert step.action == "refuse"
    assert "no record could be written" in step.reason


def test_properties_that_are_not_declared_are_left_alone():
    topic = TopicSettings(name="fires")
    config = {**topic_config(topic), "max.message.bytes": "5000000"}

    assert _actions(decide(topic, _found(topic, config=config))) == ["nothing"]


def test_no_compression_has_kafkas_own_name():
    assert (
        topic_config(TopicSettings(name="t", compression_type="none"))["compression.type"]
        == "uncompressed"
    )


def test_the_offsets_topic_is_compacted_in_small_segments():
    topic = offsets_topic("offsets", 3)

    assert (topic.partitions, topic.replication_factor) == (25, 3)
    assert topic_config(topic) == {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": "16777216",
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.1",
    }


def test_our_own_topics_are_added_unless_declared():
    settings = KafkaSettings(offsets_topic="offsets", dlq_topic="letters")
    fires = TopicSettings(name="fires", replication_factor=3)
    letters = TopicSettings(name="letters", partitions=9)

    added = with_own_topics([fires], settings)
    kept = with_own_topics([fires, letters], settings)

    assert added == [fires, offsets_topic("offsets", 3), dead_letter_topic("letters", 3)]
    assert kept == [fires, letters, offsets_topic("offsets", 3)]


def test_no_dead_letter_topic_where_dead_letters_are_off():
    names = [one.name for one in with_own_topics([], KafkaSettings(dlq_enabled=False))]

    assert names == ["wildfire-ingest-offsets"]


def test_one_replica_is_warned_of_on_three_brokers_only():
    topics = [TopicSettings(name="one"), TopicSettings(name="three", replication_factor=3)]

    assert copy_warnings(topics, brokers=2) == []
    (warning,) = copy_warnings(topics, brokers=3)
    assert warning.startswith("one: replication factor 1 on a cluster of 3 brokers")


@pytest.fixture
def admin(kafka):
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.mark.kafka
def test_a_second_sync_does_nothing(admin, fresh_name):
    declared = [
        TopicSettings(name=fresh_name("fires"), partitions=3, config={"segment.ms": "700000"}),
        offsets_topic(fresh_name("offsets"), 1),
        dead_letter_topic(fresh_name("letters"), 1),
    ]

    first, second = sync(admin, declared), sync(admin, declared)

    assert _actions(first) == ["create"] * 3
    assert _actions(second) == ["nothing"] * 3


@pytest.mark.kafka
def test_a_changed_declaration_reaches_kafka_and_keeps_the_records(admin, kafka, fresh_name):
    name = fresh_name("fires")
    sync(admin, [TopicSettings(name=name, partitions=2)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(name, b"kept")
    producer.flush(20)
    wanted = TopicSettings(name=name, partitions=5, retention_ms=-1, compression_type="zstd")

    steps = sync(admin, [wanted])

    assert _actions(steps) == ["add partitions", "alter config"]
    assert _actions(plan(admin, [wanted])) == ["nothing"]
    assert values(kafka.bootstrap, name) == [b"kept"]


@pytest.mark.kafka
def test_one_refusal_stops_every_change(admin, fresh_name):
    shrunk, new = fresh_name("shrunk"), fresh_name("new")
    sync(admin, [TopicSettings(name=shrunk, partitions=4)])

    with pytest.raises(ConfigError, match=r"no topic was changed.*partitions 4 -> 2"):
        sync(admin, [TopicSettings(name=new), TopicSettings(name=shrunk, partitions=2)])

    assert new not in admin.list_topics(timeout=10).topics


@pytest.mark.kafka
def test_plan_changes_nothing(admin, fresh_name):
    topic = TopicSettings(name=fresh_name("planned"))

    assert _actions(plan(admin, [topic])) == ["create"]
    assert topic.name not in admin.list_topics(timeout=10).topics


@pytest.mark.kafka
def test_a_property_that_kafka_does_not_know_is_refused_in_its_words(admin, fresh_name):
    topic = TopicSettings(name=fresh_name("bad"), config={"retention.mss": "1"})

    with pytest.raises(ConfigError, match=r"Unknown topic config name: retention\.mss"):
        sync(admin, [topic])


@pytest.mark.kafka
def test_a_single_broker_gives_no_warning(admin):
    assert warnings(admin, [TopicSettings(name="fires")]) == []


def test_a_cluster_that_is_away_is_said_to_be_unavailable(monkeypatch):
    monkeypatch.setattr("wildfire_ingest.delivery.topics.REQUEST_S", 0.3)
    admin = AdminClient({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})

    with pytest.raises(BrokerUnavailable, match="asking the cluster for its topics"):
        plan(admin, [TopicSettings(name="fires")])
