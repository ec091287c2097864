"""Brokers start, answer, can be hurt, come back with their data, and never outlive us."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from wildfire_ingest.simulator import brokers, brokers_kafka, brokers_noida, brokers_process
from wildfire_ingest.simulator.brokers import ApacheKafka, BrokerNotStarted, External, NoidaDb
from wildfire_ingest.simulator.brokers_process import ServerProcess, free_ports
from wildfire_ingest_tests.judge import values


def _send(bootstrap, topic, *payloads):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for payload in payloads:
        producer.produce(topic, payload)
    assert producer.flush(30) == 0


def test_embedded_broker_takes_and_gives_records(tmp_path):
    broker = NoidaDb(tmp_path / "broker")
    try:
        bootstrap = broker.start()
        _send(bootstrap, "fires", b"one", b"two")

        assert values(bootstrap, "fires") == [b"one", b"two"]
    finally:
        broker.stop()
    assert not broker.is_running


def test_embedded_broker_says_that_it_is_not_durable(tmp_path):
    assert not NoidaDb(tmp_path).is_durable


@pytest.mark.kafka
def test_kafka_keeps_records_port_and_data_over_a_kill(tmp_path):
    broker = ApacheKafka(tmp_path / "broker")
    try:
        bootstrap = broker.start()
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic("fires", 2, 1)])["fires"].result(30)
        _send(bootstrap, "fires", b"acknowledged")

        broker.kill()
        again = broker.start()

        assert again == bootstrap
        assert values(again, "fires") == [b"acknowledged"]
    finally:
        broker.stop()
    assert not broker.is_running


@pytest.mark.kafka
def test_a_paused_kafka_answers_again_after_resume(kafka, topic):
    name = topic("paused")
    kafka.pause()
    try:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        with pytest.raises(Exception, match=r"_TRANSPORT|_TIMED_OUT"):
            admin.list_topics(timeout=0.5)
    finally:
        kafka.resume()

    _send(kafka.bootstrap, name, b"after")

    assert values(kafka.bootstrap, name) == [b"after"]


def test_a_server_dies_with_a_killed_parent(tmp_path):
    program = textwrap.dedent("""
        import sys, pathlib
        from wildfire_ingest.simulator.brokers_process import ServerProcess
        child = ServerProcess([sys.executable, "-c", "input()"], log=pathlib.Path(sys.argv[1]))
        child = ServerProcess(["sleep", "600"], log=pathlib.Path(sys.argv[1]))
        print(child.pid, flush=True)
        sys.stdin.read()
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())

    parent.kill()
    parent.communicate()

    assert _ends(pid)


def _ends(pid: int) -> bool:
    pause = threading.Event()
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z"):
                return True
        except FileNotFoundError:
            return True
        pause.wait(0.05)
    return False


def test_a_server_started_by_a_thread_outlives_the_thread(tmp_path):
    started = []

    def start():
        started.append(ServerProcess(["sleep", "600"], log=tmp_path / "log"))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    threading.Event().wait(0.2)
    (server,) = started
    try:
        assert server.is_running
    finally:
        server.kill()


def test_ctrl_c_while_a_server_is_forked_leaves_none(tmp_path, monkeypatch):
    children: list[subprocess.Popen[bytes]] = []

    class Interrupted:
        def __init__(self, forked):
            self._forked = forked

        def result(self):
            first = not children
            children.append(self._forked.result())
            if first:
                raise KeyboardInterrupt
            return children[-1]

    submit = brokers_process._FORKS.submit
    monkeypatch.setattr(brokers_process._FORKS, "submit", lambda *args: Interrupted(submit(*args)))

    with pytest.raises(KeyboardInterrupt):
        ServerProcess(["sleep", "600"], log=tmp_path / "log")

    assert children[0].poll() == -signal.SIGKILL


def test_stop_ends_a_server_that_ignores_sigterm(tmp_path):
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True);"
    log = tmp_path / "log"
    server = ServerProcess([sys.executable, "-c", program + "signal.pause()"], log=log)
    while "up" not in server.log_tail():
        assert server.is_running

    server.stop(wait_s=0.2)

    assert not server.is_running


def test_missing_java_is_named_with_its_cure(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerNotStarted, match=r"no `java` on the PATH: install a Java runtime"):
        ApacheKafka(tmp_path / "broker").start()


def test_missing_maven_is_named_with_its_cure(monkeypatch, tmp_path):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(brokers_kafka.LIBS_VARIABLE, str(tmp_path / "none"))

    assert "no `mvn` on the PATH" in str(brokers.missing_requirements("kafka"))


def test_maven_without_a_network_gives_its_words_and_the_way_out(monkeypatch, tmp_path):
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'Could not transfer artifact'; exit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(BrokerNotStarted, match=r"Could not transfer artifact(.|\n)*WILDFIRE_KAFKA"):
        brokers_kafka.fetch_jars(tmp_path / "libs")
    assert not list(tmp_path.glob("fetch-*"))


def test_a_lost_run_bit_is_set_again(tmp_path):
    binary = tmp_path / "noida-db"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o644)

    brokers_noida._allow_to_run(binary)

    assert os.access(binary, os.X_OK)


def test_a_broker_that_ends_at_once_is_reported_with_its_words(monkeypatch, tmp_path):
    binary = tmp_path / "noida-db"
    binary.write_text("#!/bin/sh\necho 'wrong libc'; exit 3\n")
    monkeypatch.setattr(brokers_noida, "_binary", lambda: binary)

    with pytest.raises(BrokerNotStarted, match="ended while starting; it wrote: wrong libc"):
        NoidaDb(tmp_path / "broker").start()


def test_a_users_own_cluster_is_never_stopped_or_killed():
    broker = External("10.0.0.1:9092")

    broker.stop()

    assert broker.start() == "10.0.0.1:9092"
    with pytest.raises(BrokerNotStarted, match="not ours to kill"):
        broker.kill()


def test_an_unknown_broker_is_refused_with_the_valid_names(tmp_path):
    with pytest.raises(BrokerNotStarted, match="embedded, kafka, or host:port"):
        brokers.broker_named("rabbit", tmp_path)


def test_ports_lie_below_those_of_outgoing_connections():
    ports = free_ports(50)

    assert len(set(ports)) == 50
    assert max(ports) < 32768


def test_signals_to_a_server_that_is_gone_do_nothing(tmp_path):
    server = ServerProcess(["true"], log=tmp_path / "log")
    server.kill()

    server.signal(signal.SIGSTOP)
    server.stop()

    assert not server.is_running
