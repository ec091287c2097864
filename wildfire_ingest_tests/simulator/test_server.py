"""The simulator's server: loopback only, its faults as asked, its truth never ahead nor behind."""

import socket
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.server import TEXT, Reply

BODY = b"latitude,longitude\n" + b"1,2\n" * 500


class Fixed:
    """A site of one answer, which counts what went out whole."""

    def __init__(self):
        self.sent = 0

    def answer(self, path, headers, now_us):
        return Reply(BODY, is_data=path != "/page", on_sent=self._sent)

    def _sent(self):
        self.sent += 1

    def control(self, command, body):
        return Reply(body.upper()) if command == "shout" else None

    def state(self):
        return {"sent": self.sent}


def faulty(**fault):
    return FaultPlan((Fault(at=(1,), **fault),))


def test_an_answer_has_its_length_and_the_type_that_firms_sends(serve, get):
    server = serve(Fixed())

    answer = get(server, "/api/x")

    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["Content-Length"] == str(len(BODY))
    assert answer.headers["Content-Type"] == TEXT


def test_it_listens_on_loopback_only(serve):
    server = serve(Fixed())

    assert server._server.server_address[0] == "127.0.0.1"


def test_whoever_has_the_whole_answer_finds_it_counted(serve, get):
    server = serve(Fixed())

    for number in range(1, 20):
        get(server, "/api/x")
        assert get(server, "/_simulator/state").json()["sent"] == number


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"kind": "server_error"}, 500, b"Internal error.\n"),
        ({"kind": "server_error", "status": 503}, 503, b"Internal error.\n"),
        ({"kind": "too_many_requests"}, 429, b"Too many requests.\n"),
        ({"kind": "empty"}, 200, b""),
        ({"kind": "wrong_key"}, 200, b"Invalid MAP_KEY.\n"),
        ({"kind": "header_only"}, 200, b"latitude,longitude\n"),
    ],
)
def test_a_fault_strikes_once_and_its_answer_does_not_count(serve, get, fault, status, body):
    server = serve(Fixed(), faults=faulty(**fault))

    struck, whole = get(server, "/api/x"), get(server, "/api/x")

    assert (struck.status_code, struck.content) == (status, body)
    assert whole.content == BODY
    assert server.state() == {"sent": 1, "faults_struck": {fault["kind"]: 1}}


def test_html_comes_with_200(serve, get):
    answer = get(serve(Fixed(), faults=faulty(kind="html")), "/api/x")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.content.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("seconds", [0, 7])
def test_retry_after_in_seconds(serve, get, seconds):
    server = serve(Fixed(), faults=faulty(kind="too_many_requests", retry_after_s=seconds))

    assert get(server, "/api/x").headers["Retry-After"] == str(seconds)


def test_retry_after_as_a_date_is_so_far_from_the_simulators_now(serve, get):
    plan = faulty(kind="too_many_requests", retry_after_s=90, as_date=True)
    server = serve(Fixed(), faults=plan, now_us=lambda: 1_786_795_200_000_000)

    header = get(server, "/api/x").headers["Retry-After"]

    assert parsedate_to_datetime(header).timestamp() == 1_786_795_200 + 90


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_truncated_answer_announces_more_than_it_sends(serve, get, share):
    server = serve(Fixed(), faults=faulty(kind="truncated", share=share))

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(server, "/api/x")

    assert server.state()["sent"] == 0


def test_a_disconnect_gives_no_answer_at_all(serve, get):
    with pytest.raises(requests.ConnectionError):
        get(serve(Fixed(), faults=faulty(kind="disconnect")), "/api/x")


def test_a_drip_is_slow_but_whole(serve, get):
    server = serve(Fixed(), faults=faulty(kind="slow_drip", bytes_per_s=8_000))
    began = time.monotonic()

    answer = get(server, "/api/x")

    assert answer.content == BODY
    assert time.monotonic() - began > 0.15
    assert server.state()["sent"] == 1


def test_stopping_ends_an_answer_that_drips(serve, get):
    server = serve(Fixed(), faults=faulty(kind="slow_drip", bytes_per_s=10))
    failed = threading.Event()

    def ask():
        try:
            get(server, "/api/x")
        except requests.RequestException:
            failed.set()

    client = threading.Thread(target=ask)
    client.start()
    while not server.state()["faults_struck"]:
        failed.wait(0.01)
    server.stop()
    client.join(timeout=5)

    assert failed.is_set()


def test_faults_are_set_while_it_runs_and_count_from_then(serve, get, post):
    server = serve(Fixed())
    get(server, "/api/x")

    answer = post(server, "faults", {"faults": [{"kind": "server_error", "at": [2]}]})

    assert (answer.status_code, answer.json()) == (200, {"faults": 1})
    assert [get(server, "/api/x").status_code for _ in range(3)] == [200, 500, 200]


@pytest.mark.parametrize(
    "plan",
    [
        {"faults": [{"kind": "earthquake"}]},
        {"faults": [{"kind": "html", "rate": 2}]},
        {"faults": [{"kind": "html", "when": 2}]},
        {"fault": []},
        [],
    ],
)
def test_a_wrong_plan_is_refused_with_its_reason_and_the_old_one_holds(serve, get, post, plan):
    server = serve(Fixed(), faults=faulty(kind="server_error"))

    answer = post(server, "faults", plan)

    assert answer.status_code == 400
    assert len(answer.text) > 10
    assert get(server, "/api/x").status_code == 500


def test_faults_never_strike_what_is_no_data(serve, get):
    server = serve(Fixed(), faults=FaultPlan((Fault(kind="server_error", rate=1.0),)))

    assert get(server, "/page").status_code == 200
    assert get(server, "/_simulator/state").status_code == 200


def test_a_site_has_commands_of_its_own_and_no_others(serve, post):
    server = serve(Fixed())

    assert post(server, "shout", "hello").text == '"HELLO"'
    assert post(server, "whisper").status_code == 404


def test_a_stopped_server_answers_nobody_and_starts_again_on_its_port(serve, get):
    server = serve(Fixed())
    address = server.base_url
    with requests.Session() as kept_alive:
        kept_alive.get(address + "/api/x", timeout=5)

        server.stop()

        with pytest.raises(requests.ConnectionError):
            kept_alive.get(address + "/api/x", timeout=5)
    assert server.start() == address
    assert get(server, "/api/x").status_code == 200


def test_a_stopped_server_hangs_up_on_clients_that_keep_their_connection(serve):
    server = serve(Fixed())
    with socket.create_connection(("127.0.0.1", server._server.server_port), timeout=5) as client:
        client.sendall(b"GET /_simulator/state HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")

        server.stop()

        while client.recv(65_536):
            pass  # what was still on its way, then the end; a time-out fails the test


def test_a_rate_strikes_about_so_often_and_the_same_for_one_seed():
    def struck(seed):
        plan = FaultPlan((Fault(kind="html", rate=0.2, seed=seed),))
        return [plan.next_fault() is not None for _ in range(1000)]

    assert 150 < sum(struck(1)) < 250
    assert struck(1) == struck(1) != struck(2)
