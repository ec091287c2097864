"""A 404 is an answer where the request says that it may be, and a failure everywhere else."""

from __future__ import annotations

import gzip

import pytest

from wildfire_ingest.errors import SourceRejected
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest_tests.fetch.loopback import reply

PROBLEM = b'{"type": "https://api.weather.gov/problems/NotFound"}'
NOT_FOUND = reply(PROBLEM, "404 Not Found")
STATION = Request("/stations/KSAC/observations", expects="json", may_be_missing=True)


def test_a_404_is_handed_over_where_it_may_be(server, make_client):
    server.answers(NOT_FOUND)

    answer = make_client().fetch(STATION)

    assert (answer.status, answer.body) == (404, PROBLEM)


def test_any_number_of_them_opens_no_circuit_and_is_no_failure(server, make_client):
    server.answers(NOT_FOUND)
    client = make_client(max_consecutive_failures=2)

    for _ in range(5):
        client.fetch(STATION)

    found = client.counters
    assert (found.api_calls, found.api_errors, found.retries) == (5, 0, 0)


def test_it_is_not_kept(server, make_client):
    server.answers(NOT_FOUND, reply(b'{"features": []}'))
    client = make_client(cache_ttl_s=60)

    client.fetch(STATION)

    assert client.fetch(STATION).status == 200


def test_without_the_request_saying_so_it_is_a_failure(server, make_client):
    server.answers(NOT_FOUND)

    with pytest.raises(SourceRejected):
        make_client().fetch(Request(STATION.template, expects="json"))


def test_another_status_is_a_failure_all_the_same(server, make_client):
    server.answers(reply(PROBLEM, "410 Gone"))

    with pytest.raises(SourceRejected):
        make_client().fetch(STATION)


def test_a_packed_body_is_unpacked_and_a_damaged_one_stays_as_it_came(server, make_client):
    server.answers(
        reply(gzip.compress(PROBLEM), "404 Not Found", "Content-Encoding: gzip"),
        reply(b"no gzip", "404 Not Found", "Content-Encoding: gzip"),
    )
    client = make_client()

    assert [client.fetch(STATION).body for _ in range(2)] == [PROBLEM, b"no gzip"]


def test_a_packed_error_shows_its_text(server, make_client):
    server.answers(reply(gzip.compress(PROBLEM), "400 Bad", "Content-Encoding: gzip"))

    with pytest.raises(SourceRejected) as caught:
        make_client().fetch(STATION)

    assert "problems/NotFound" in caught.value.sample


def test_a_secret_that_a_404_echoes_is_not_handed_over(server, make_client):
    key = Secret("0123456789abcdef")
    server.answers(reply(b"no such 0123456789abcdef", "404 Not Found", f"X-Of: {key.reveal()}"))

    answer = make_client().fetch(Request("/{k}", secrets={"k": key}, may_be_missing=True))

    assert key.reveal().encode() not in answer.body
    assert key.reveal() not in str(answer.headers)


def test_a_request_for_the_whole_body_is_never_answered_from_what_is_kept(server, make_client):
    tagged = reply(b'{"features": []}', "200 OK", 'ETag: "1"')
    server.answers(tagged)
    client = make_client(cache_ttl_s=60)
    stations = Request("/stations", expects="json", whole=True)

    answers = []
    for _ in range(2):
        answers.append(client.fetch(stations))
        client.settled()

    assert [(a.body, a.from_cache) for a in answers] == [(b'{"features": []}', False)] * 2
    assert "if-none-match" not in server.requests[1].lower()
