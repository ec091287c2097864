"""What a caller of ApiClient can rely on, against a real server on loopback."""

from __future__ import annotations

import socket
import threading
import time
from email.utils import formatdate

import pytest

from wildfire_ingest.errors import AnswerRefused, CircuitOpen, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Request
from wildfire_ingest.fetch.settings import ApiQuota
from wildfire_ingest_tests.fetch.loopback import reply

ROWS = b"latitude,longitude\n1.0,2.0\n"
ASK = Request("/fires.csv")
GOOD = reply(ROWS)


def test_an_answer_is_the_body_as_it_was_sent(server, make_client):
    server.answers(GOOD)

    answer = make_client().fetch(ASK)

    assert (answer.status, answer.body, answer.from_cache) == (200, ROWS, False)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad", "503 Busy", "504 Late", "408 Slow"])
def test_what_can_pass_is_asked_again(server, make_client, status):
    server.answers(reply(b"no", status), GOOD)
    client = make_client()

    assert client.fetch(ASK).body == ROWS
    assert (client.counters.api_calls, client.counters.retries) == (2, 1)


def test_attempts_are_bounded_and_a_last_failure_is_no_retry(server, make_client):
    server.answers(reply(b"no", "500 Oops"))
    client = make_client(max_attempts=3)

    with pytest.raises(SourceUnavailable, match="status 500"):
        client.fetch(ASK)

    found = client.counters
    assert (found.api_calls, found.api_errors, found.retries) == (3, 3, 2)
    assert found.success_rate == 0.0


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 No"])
def test_a_rejected_key_is_not_retried_and_opens_the_circuit(server, make_client, status):
    server.answers(reply(b"Invalid MAP_KEY.", status))
    client = make_client()

    with pytest.raises(SourceRejected) as caught:
        client.fetch(ASK)
    with pytest.raises(CircuitOpen):
        client.fetch(ASK)

    assert caught.value.sample == "Invalid MAP_KEY."
    assert len(server.requests) == 1


def test_a_path_that_does_not_exist_closes_no_other_path(server, make_client):
    server.answers(reply(b"no such station", "404 Not Found"), GOOD)
    client = make_client()

    with pytest.raises(SourceRejected):
        client.fetch(Request("/stations/X"))

    assert client.fetch(ASK).body == ROWS


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_429_is_obeyed_in_both_forms(server, make_client, clock, form):
    after = "7" if form == "seconds" else formatdate(clock.us / 1e6 + 7, usegmt=True)
    server.answers(reply(b"", "429 Too Many", f"Retry-After: {after}"), GOOD)

    assert make_client().fetch(ASK).body == ROWS
    assert sum(clock.waits) == pytest.approx(7, abs=1)


def test_a_429_pauses_every_client_of_the_quota(server, make_client):
    server.answers(reply(b"", "429 Too Many", "Retry-After: 100"))
    quota = ApiQuota(name="firms", units=100, interval_s=600)
    with pytest.raises(SourceUnavailable):
        make_client(quota=quota).fetch(ASK)

    with pytest.raises(SourceUnavailable, match="not asked") as caught:
        make_client(source_id="other", quota=quota).fetch(ASK)

    assert caught.value.retry_after_s == pytest.approx(100, abs=1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("after", ["1000000000", "9" * 5000])
def test_an_absurd_retry_after_parks_the_source_for_a_day(server, make_client, clock, after):
    server.answers(reply(b"", "429 Too Many", f"Retry-After: {after}"), GOOD)
    client = make_client()

    with pytest.raises(SourceUnavailable) as caught:
        client.fetch(ASK)
    clock.us += 23 * 3600 * 1_000_000
    with pytest.raises(SourceUnavailable):
        client.fetch(ASK)
    clock.us += 3600 * 1_000_000

    assert caught.value.retry_after_s == 86_400
    assert client.fetch(ASK).body == ROWS


@pytest.mark.parametrize("after", ["soon", "-5", ""])
def test_a_meaningless_retry_after_is_ordinary_backoff(server, make_client, clock, after):
    server.answers(reply(b"", "429 Too Many", f"Retry-After: {after}"), GOOD)

    assert make_client().fetch(ASK).body == ROWS
    assert 0 < sum(clock.waits) <= 30


def test_every_attempt_takes_a_token_not_every_success(server, make_client, clock):
    server.answers(reply(b"no", "500 Oops"))
    client = make_client(rate_limit_per_minute=2, max_attempts=1, deadline_s=1)

    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            client.fetch(ASK)

    assert len(server.requests) == 1
    clock.us += 30_000_000
    with pytest.raises(SourceUnavailable):
        client.fetch(ASK)
    assert len(server.requests) == 2


def test_a_request_beyond_the_whole_quota_is_never_sent(server, make_client):
    client = make_client(quota=ApiQuota(name="firms", units=10, interval_s=600))

    with pytest.raises(SourceRejected, match="more than the whole quota"):
        client.fetch(Request("/fires.csv", cost=11))

    assert server.requests == []


def test_a_circuit_is_shared_by_clients(server, make_client, clock):
    server.answers(reply(b"no", "500 Oops"))
    first = make_client(max_attempts=1, max_consecutive_failures=2)
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            first.fetch(ASK)

    with pytest.raises(CircuitOpen) as caught:
        make_client(max_consecutive_failures=2).fetch(ASK)

    assert caught.value.retry_after_s == pytest.approx(60, abs=1)
    assert len(server.requests) == 2


def test_half_open_is_one_attempt_and_success_closes(server, make_client, clock):
    server.answers(reply(b"no", "500 Oops"))
    client = make_client(max_consecutive_failures=1, rate_burst=10)
    with pytest.raises(SourceUnavailable):
        client.fetch(ASK)
    asked = len(server.requests)
    clock.us += 60_000_000

    with pytest.raises(SourceUnavailable):
        client.fetch(ASK)
    assert len(server.requests) == asked + 1

    server.answers(GOOD)
    clock.us += 60_000_000
    assert [client.fetch(ASK).body for _ in range(2)] == [ROWS, ROWS]


def test_a_stop_ends_the_waiting_and_blames_nobody(server, make_client, clock):
    server.answers(reply(b"no", "500 Oops"))
    client = make_client(max_consecutive_failures=1)
    clock.stop_while_waiting = True

    with pytest.raises(SourceUnavailable, match="stopped"):
        client.fetch(ASK, stop=threading.Event())

    clock.stop_while_waiting = False
    server.answers(GOOD)
    assert client.fetch(ASK).body == ROWS


def test_a_trial_that_did_not_ask_leaves_the_trial_to_another(server, make_client, clock):
    server.answers(reply(b"no", "500 Oops"))
    client = make_client(max_consecutive_failures=1, max_attempts=1)
    with pytest.raises(SourceUnavailable):
        client.fetch(ASK)
    clock.us += 60_000_000
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(SourceUnavailable, match="stopped"):
        client.fetch(ASK, stop=stopped)

    server.answers(GOOD)
    assert client.fetch(ASK).body == ROWS


def _drip(server):
    def script(line, _request):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.over.wait(0.02):
            line.sendall(b"x")

    return script


def _drip_chunk_size(server):
    def script(line, _request):
        line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.over.wait(0.02):
            line.sendall(b"0")

    return script


def _endless_headers(server):
    def script(line, _request):
        line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not server.over.wait(0.02):
            line.sendall(b"x")

    return script


def _endless_continue(server):
    def script(line, _request):
        while not server.over.wait(0.02):
            line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    return script


def _silent(server):
    def script(line, _request):
        server.over.wait(10)

    return script


@pytest.mark.parametrize(
    "slow", [_drip, _drip_chunk_size, _endless_headers, _endless_continue, _silent]
)
def test_the_deadline_holds_against_a_server_that_never_ends(server, make_client, slow):
    server.answers(slow(server))
    client = make_client(real_time=True, deadline_s=0.6)

    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"deadline|in time"):
        client.fetch(ASK)

    assert 0.5 <= time.monotonic() - began < 1.2


def test_a_stop_ends_a_request_under_way(server, make_client):
    stop = threading.Event()

    def script(line, _request):
        stop.set()
        server.over.wait(10)

    server.answers(script)

    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="stopped"):
        make_client(real_time=True).fetch(ASK, stop=stop)
    assert time.monotonic() - began < 2


CUT_CHUNK = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1b\r\nlatitude"
)
NO_LAST_CHUNK = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nlatit\r\n"
)


@pytest.mark.parametrize("cut", [reply(ROWS, length=100), CUT_CHUNK, NO_LAST_CHUNK])
def test_a_cut_answer_is_asked_again_and_then_refused(server, make_client, cut):
    server.answers(cut)
    client = make_client(max_attempts=2)

    with pytest.raises(AnswerRefused, match=r"cut|ends after"):
        client.fetch(ASK)

    assert len(server.requests) == 2


def test_a_chunked_answer_is_read_whole(server, make_client):
    server.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nlatit\r\n4\r\nude\n\r\n0\r\n\r\n"
    )

    assert make_client().fetch(ASK).body == b"latitude\n"


def test_a_body_over_the_cap_is_refused(server, make_client):
    server.answers(reply(b"x" * 5000))

    with pytest.raises(AnswerRefused, match="over 1000 bytes"):
        make_client(max_body_bytes=1000).fetch(ASK)


def test_a_refused_connection_is_unavailable(make_client):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = make_client(base_url=f"http://127.0.0.1:{port}", max_attempts=1)

    with pytest.raises(SourceUnavailable, match="connection was refused"):
        client.fetch(ASK)


def test_connections_are_used_again(server, make_client):
    lines = []

    def script(line, _request):
        lines.append(line)
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na,b"
        line.sendall(body)
        line.recv(65536)
        line.sendall(body)

    server.answers(script)
    client = make_client(rate_burst=5)

    assert [client.fetch(ASK).body for _ in range(2)] == [b"a,b", b"a,b"]
    assert len(lines) == 1
