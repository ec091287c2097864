"""`tail` against a real Apache Kafka: what is committed shows, and nothing else."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from wildfire_ingest.cli import exits
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.observe.tail import Tail
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE, answer, source_of, topic_of
from wildfire_ingest_tests.proxy import FaultProxy

WAIT_S = 60
ENV = {**os.environ, "FIRMS_MAP_KEY": MAP_KEY}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x", "--from-beginning", "--since", "1h"], "exclude each other"),
        (["x", "--json", "--key"], "exclude one another"),
        (["x", "--since", "10"], "found '10'; expected a number and a unit"),
        (["x"], f"no topic or source 'x' (the cluster could not be asked); sources are {SOURCE}"),
        (["x", "-n", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(wildfire, write_config, arguments, words):
    found = wildfire("tail", *arguments, config=write_config())

    assert found.exit_code == exits.USAGE
    (line,) = found.stderr.splitlines()
    assert words in line


class Reader:
    """A Tail in a thread; what it shows is awaited one by one."""

    def __init__(self, bootstrap, topics, **options):
        self.values: queue.Queue[bytes | None] = queue.Queue()
        self.remarks: queue.Queue[str] = queue.Queue()
        self.stop = threading.Event()
        settings = KafkaSettings(bootstrap_servers=bootstrap)
        self.tail = Tail(settings, topics, self.remarks.put, **options)
        self.thread = threading.Thread(target=self._read)

    def _read(self):
        for message in self.tail.records(self.stop):
            self.values.put(message.value())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def next(self):
        return self.values.get(timeout=WAIT_S)

    def remark(self):
        return self.remarks.get(timeout=WAIT_S)


@pytest.fixture
def transaction(kafka, fresh_name):
    """A producer with an open transaction."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": fresh_name("other")}
    )
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    return producer


def put(kafka, topic, *values, partition=0):
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(WAIT_S) == 0


@pytest.mark.kafka
def test_only_what_is_written_after_the_start_shows(kafka, topic):
    name = topic(partitions=2)
    put(kafka, name, b"before")

    with Reader(kafka.bootstrap, [name]) as reader:
        assert reader.remark() == f"reading {name}; Ctrl-C ends"
        put(kafka, name, b"after", partition=1)

        assert reader.next() == b"after"
    assert reader.values.empty()


@pytest.mark.kafka
def test_a_transaction_that_was_open_at_the_start_shows_when_it_is_committed(
    kafka, topic, transaction
):
    name = topic(partitions=1)
    transaction.produce(name, b"open")
    transaction.flush(WAIT_S)

    with Reader(kafka.bootstrap, [name]) as reader:
        reader.remark()
        put(kafka, name, b"behind it")
        assert reader.values.empty()

        transaction.commit_transaction(WAIT_S)

        assert [reader.next(), reader.next()] == [b"open", b"behind it"]


@pytest.mark.kafka
def test_an_aborted_record_never_shows(kafka, topic, transaction):
    name = topic(partitions=1)

    with Reader(kafka.bootstrap, [name], since_ms=0) as reader:
        reader.remark()
        transaction.produce(name, b"aborted")
        transaction.flush(WAIT_S)
        transaction.abort_transaction(WAIT_S)
        put(kafka, name, b"good")

        assert reader.next() == b"good"
    assert reader.values.empty()


@pytest.mark.kafka
def test_a_topic_that_comes_later_is_read_from_its_beginning(kafka, fresh_name):
    name = fresh_name("late")

    with Reader(kafka.bootstrap, [name]) as reader:
        assert reader.remark() == f"{name}: not there yet, waiting; Ctrl-C ends"
        put_when_made(kafka, name)

        assert reader.next() == b"first"


def put_when_made(kafka, name):
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(WAIT_S)
    put(kafka, name, b"first")


@pytest.mark.kafka
def test_an_outage_is_one_remark_and_what_comes_after_it_shows(kafka, topic):
    name = topic(partitions=1)
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        with Reader(proxy.bootstrap, [name]) as reader:
            assert reader.remark().startswith("reading")
            put(kafka, name, b"before")
            assert reader.next() == b"before"

            proxy.refuse()
            proxy.cut()
            assert reader.remark().startswith("waiting for the broker: reading")
            put(kafka, name, b"meanwhile")
            proxy.start()

            assert reader.next() == b"meanwhile"
        assert reader.remarks.empty()


@pytest.mark.kafka
def test_a_broker_that_is_away_at_the_start_is_waited_for(kafka, topic):
    name = topic(partitions=1)
    put(kafka, name, b"kept")
    proxy = FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port)

    with Reader(f"127.0.0.1:{kafka.advertised_port}", [name], since_ms=0) as reader:
        assert reader.remark().startswith("waiting for the broker")
        with proxy:
            assert reader.next() == b"kept"


@pytest.mark.kafka
def test_nothing_of_the_reader_stays_at_the_broker(kafka, topic):
    name = topic(partitions=1)
    put(kafka, name, b"one")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    with Reader(kafka.bootstrap, [name], since_ms=0) as reader:
        assert reader.next() == b"one"
        during = admin.list_consumer_groups(request_timeout=30).result()
    after = admin.list_consumer_groups(request_timeout=30).result()

    for listed in (during, after):
        assert "wildfire-ingest-reader" not in {group.group_id for group in listed.valid}


# the command


@pytest.fixture
def started(on_kafka, replay):
    """Starts `tail` as a user does; it has begun when this returns."""
    processes = []

    def start(config, *arguments):
        command = [sys.executable, "-m", "wildfire_ingest.cli.main", "--config", str(config)]
        process = subprocess.Popen(
            [*command, "tail", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENV,
        )
        processes.append(process)
        assert process.stderr is not None
        assert "Ctrl-C ends" in process.stderr.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_source_is_followed_until_a_signal(on_kafka, replay, started, wildfire, number):
    config = on_kafka(replay(answer(1, 2)))
    process = started(config, source_of(config))

    assert wildfire("run", source_of(config), "--once", config=config).exit_code == 0
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.send_signal(number)
    _, stderr = process.communicate(timeout=WAIT_S)

    assert all(f"  fire_detection  {source_of(config)}  latitude=" in line for line in lines)
    assert (process.returncode, stderr) == (0, "")


@pytest.fixture
def delivered(on_kafka, replay, wildfire, kafka):
    """Two records and a dead letter of the source, and one record of somebody else's."""
    config = on_kafka(replay(answer(1, 2, "no\x1brth")))
    assert wildfire("run", source_of(config), "--once", config=config).exit_code == 0
    put(kafka, topic_of(config), b'{"source_id":"other","latitude":9.0}')
    return config


@pytest.mark.kafka
def test_of_a_source_only_its_own_records_show(delivered, wildfire):
    options = ("--from-beginning", "--field", "latitude", "--field", "source_id")
    whole = wildfire("tail", topic_of(delivered), *options, "-n", 3, config=delivered)
    own = wildfire("tail", source_of(delivered), *options, "-n", 2, config=delivered)

    source = source_of(delivered)
    assert (whole.exit_code, own.exit_code) == (0, 0)
    assert sorted(whole.stdout.splitlines()) == [f"1.0\t{source}", f"2.0\t{source}", "9.0\tother"]
    assert sorted(own.stdout.splitlines()) == [f"1.0\t{source}", f"2.0\t{source}"]


@pytest.mark.kafka
def test_json_and_keys_are_what_is_in_kafka(delivered, wildfire):
    source = source_of(delivered)
    values = wildfire("tail", source, "--since", "1h", "-n", 2, "--json", config=delivered)
    keys = wildfire("tail", source, "--since", "1h", "-n", 2, "--key", config=delivered)

    assert sorted(json.loads(line)["latitude"] for line in values.stdout.splitlines()) == [1, 2]
    assert len(keys.stdout.splitlines()) == 2


@pytest.mark.kafka
@pytest.mark.parametrize("of", [source_of, topic_of])
def test_dead_letters_of_a_source_or_topic_show_their_reason(delivered, wildfire, of):
    options = ("--dlq", "--from-beginning", "-n", 1)
    told = wildfire("tail", of(delivered), *options, config=delivered)
    plain = wildfire("tail", of(delivered), *options, "--json", config=delivered)

    (line,) = told.stdout.splitlines()
    assert f"{source_of(delivered)} -> {topic_of(delivered)}" in line
    assert json.loads(plain.stdout)["value"].startswith("no\\x1brth")


@pytest.mark.kafka
def test_an_unknown_name_ends_with_2_and_says_what_there_is(delivered, wildfire):
    found = wildfire("tail", "nobody", config=delivered)

    assert found.exit_code == exits.USAGE
    assert f"no topic or source 'nobody'; sources are {source_of(delivered)}" in found.stderr
    assert topic_of(delivered) in found.stderr


@pytest.mark.kafka
def test_a_topic_that_only_the_cluster_knows_can_be_read(delivered, wildfire, kafka, topic):
    name = topic(partitions=1)
    put(kafka, name, b"\x1b[2Jfree")

    found = wildfire("tail", name, "--from-beginning", "-n", 1, config=delivered)

    assert found.exit_code == 0
    assert found.stdout.rstrip("\n").endswith("\\x1b[2Jfree")
