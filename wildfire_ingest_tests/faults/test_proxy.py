"""The fault proxy does what it says: no fault test is worth more than this."""

import socket
import struct
import threading

import pytest
from confluent_kafka import KafkaException, Producer

from wildfire_ingest_tests.judge import values
from wildfire_ingest_tests.proxy import END_TXN, METADATA, PRODUCE, FaultProxy


class EchoBroker:
    """Answers every request with its correlation id and remembers what it saw."""

    def __init__(self):
        self.seen = []
        self.arrived = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                (length,) = struct.unpack(">i", head)
                body = stream.read(length)
                if len(body) < length:
                    return
                with self.arrived:
                    self.seen.append(body)
                    self.arrived.notify_all()
                try:
                    connection.sendall(struct.pack(">i", 4) + body[4:8])
                except OSError:
                    return

    def wait_for(self, count):
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.seen) >= count, timeout=5)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def broker():
    server = EchoBroker()
    yield server
    server.close()


@pytest.fixture
def proxy(broker):
    with FaultProxy(broker.port) as running:
        yield running


@pytest.fixture
def connect(proxy):
    opened = []

    def open_one():
        opened.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=5))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


def _frame(api_key, correlation_id, payload=b""):
    body = struct.pack(">hhi", api_key, 1, correlation_id) + payload
    return struct.pack(">i", len(body)) + body


def _ask(client, api_key, correlation_id, payload=b""):
    client.sendall(_frame(api_key, correlation_id, payload))
    return client.recv(100)


def _answer(correlation_id):
    return struct.pack(">ii", 4, correlation_id)


def test_bytes_pass_unchanged_and_requests_are_noted(proxy, broker, connect):
    client = connect()

    assert _ask(client, PRODUCE, 7, b"payload") == _answer(7)
    assert broker.seen == [_frame(PRODUCE, 7, b"payload")[4:]]
    assert proxy.requests == [(PRODUCE, 1, 7)]


def test_a_held_request_stops_only_its_kind(proxy, broker, connect):
    fault = proxy.hold(END_TXN)
    holder, other = connect(), connect()
    holder.sendall(_frame(END_TXN, 1))
    assert fault.happened.wait(5)

    assert _ask(other, METADATA, 2) == _answer(2)
    assert len(broker.seen) == 1

    fault.release()
    assert holder.recv(100) == _answer(1)


def test_a_held_request_arrives_late_although_its_client_was_cut_off(proxy, broker, connect):
    fault = proxy.hold(END_TXN, cut_client=True)
    client = connect()
    client.sendall(_frame(END_TXN, 1))
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    assert broker.seen == []

    fault.release()

    assert fault.answered.wait(5)
    assert len(broker.seen) == 1


def test_a_hold_of_seconds_ends_by_itself(proxy, connect):
    proxy.hold(END_TXN, hold_s=0.05)

    assert _ask(connect(), END_TXN, 1) == _answer(1)


def test_a_fault_meets_only_as_many_requests_as_it_says(proxy, broker, connect):
    proxy.reset(METADATA, times=1)
    with pytest.raises(ConnectionResetError):
        _ask(connect(), METADATA, 1)

    assert _ask(connect(), METADATA, 2) == _answer(2)
    assert len(broker.seen) == 1


def test_a_dropped_response_reaches_the_broker_and_never_the_client(proxy, broker, connect):
    proxy.drop_response(PRODUCE)

    with pytest.raises(ConnectionResetError):
        _ask(connect(), PRODUCE, 1)
    assert broker.wait_for(1)


def test_a_connection_is_cut_after_the_chosen_bytes(proxy, broker, connect):
    proxy.cut_after_bytes = 30
    client = connect()
    assert _ask(client, METADATA, 1) == _answer(1)

    assert _ask(client, PRODUCE, 2, b"x" * 100) == b""
    assert len(broker.seen) == 1


def test_refused_connections_are_accepted_again_after_start(proxy, connect):
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect()

    proxy.start()

    assert _ask(connect(), METADATA, 1) == _answer(1)


def test_cut_ends_every_open_connection(proxy, connect):
    client = connect()
    assert _ask(client, METADATA, 1) == _answer(1)

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        _ask(client, METADATA, 2)


def test_stop_leaves_no_thread(broker):
    proxy = FaultProxy(broker.port)
    proxy.start()
    proxy.hold(END_TXN)
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(_frame(END_TXN, 1))
        proxy.stop()

    assert not [one for one in threading.enumerate() if one.name == "fault-proxy"]


@pytest.mark.kafka
def test_kafka_sends_the_clients_of_the_proxied_listener_back_to_the_proxy(kafka, topic):
    name = topic("proxied")
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        producer = Producer({"bootstrap.servers": proxy.bootstrap})
        producer.produce(name, b"through the proxy")
        assert producer.flush(20) == 0
        del producer

        assert PRODUCE in {request.api_key for request in proxy.requests}


@pytest.mark.kafka
def test_a_late_end_of_a_transaction_tears_the_next_one_of_a_long_lived_producer(kafka, topic):
    """Why each producer is used once: a test that holds EndTxn must be known to see the tear."""
    name = topic("torn", partitions=1)
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        producer = Producer(
            {
                "bootstrap.servers": proxy.bootstrap,
                "transactional.id": name,
                "reconnect.backoff.ms": 20,
                "log_level": 0,
            }
        )
        producer.init_transactions(30)
        late = proxy.hold(END_TXN, cut_client=True)
        producer.begin_transaction()
        producer.produce(name, b"first")
        producer.commit_transaction(30)

        producer.begin_transaction()
        producer.produce(name, b"never committed")
        producer.flush(20)
        late.release()
        assert late.answered.wait(10)
        with pytest.raises(KafkaException, match="INVALID_TXN_STATE"):
            producer.abort_transaction(30)
        del producer

    assert values(kafka.bootstrap, name) == [b"first", b"never committed"]
