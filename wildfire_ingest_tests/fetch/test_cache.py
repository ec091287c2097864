"""What is kept of an answer, for whom, and what a server's 304 may stand for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.exchange import Request
from wildfire_ingest_tests.fetch.loopback import reply

ROWS = b"latitude,longitude\n1.0,2.0\n"
OLDER = b"latitude,longitude\n"
ASK = Request("/fires.csv")
TTL_US = 60_000_000


def _with_etag(_line, request):
    if 'If-None-Match: "v1"' in request:
        _line.sendall(reply(b"", "304 Not Modified", 'ETag: "v1"'))
    else:
        _line.sendall(reply(ROWS, "200 OK", 'ETag: "v1"', "Last-Modified: yesterday"))


def test_a_repeat_within_the_ttl_only_counts_a_cache_hit(server, make_client):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60, rate_limit_per_minute=1)
    client.fetch(ASK)
    before = client.counters

    answers = [client.fetch(ASK) for _ in range(5)]

    assert all(a.from_cache and a.body == ROWS for a in answers)
    after = client.counters
    assert after.cache_hits == 5
    assert (after.api_calls, after.waited_s) == (before.api_calls, before.waited_s)
    assert len(server.requests) == 1


def test_after_the_ttl_the_server_is_asked(server, make_client, clock):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    clock.us += TTL_US

    assert not client.fetch(ASK).from_cache
    assert len(server.requests) == 2


def test_a_clock_set_back_does_not_keep_an_answer_for_ever(server, make_client, clock):
    server.answers(reply(ROWS))
    make_client(cache_ttl_s=60).fetch(ASK)
    clock.us -= 48 * 3600 * 1_000_000

    assert not make_client(cache_ttl_s=60).fetch(ASK).from_cache


def test_a_look_is_taken_over_as_a_poll_exactly_once(server, make_client):
    server.answers(reply(ROWS))
    sensor, run, other = (make_client(cache_ttl_s=60) for _ in range(3))
    sensor.fetch(ASK)

    taken = run.fetch(ASK, take_look=True)
    again = other.fetch(ASK, take_look=True)

    assert (taken.from_cache, taken.body) == (False, ROWS)
    assert again.from_cache
    assert (run.counters.looks_taken, run.counters.api_calls) == (1, 0)
    assert len(server.requests) == 1


def test_what_a_run_fetched_itself_is_nobodys_look(server, make_client):
    server.answers(reply(ROWS))
    make_client(cache_ttl_s=60).fetch(ASK, take_look=True)

    assert make_client(cache_ttl_s=60).fetch(ASK, take_look=True).from_cache


def test_not_modified_is_said_of_durable_rows(server, make_client, clock):
    server.answers(_with_etag)
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    client.settled()
    clock.us += TTL_US

    answer = client.fetch(ASK)

    assert (answer.not_modified, answer.body) == (True, b"")
    assert "If-Modified-Since: yesterday" in server.requests[1]
    assert client.counters.not_modified == 1


def test_not_modified_hands_unspooled_rows_over_again(server, make_client, clock):
    server.answers(_with_etag)
    make_client(cache_ttl_s=60).fetch(ASK)
    clock.us += TTL_US

    answer = make_client(cache_ttl_s=60).fetch(ASK)

    assert (answer.status, answer.not_modified, answer.from_cache) == (200, False, False)
    assert answer.body == ROWS


def test_settling_an_answer_says_nothing_of_a_newer_one(server, make_client, clock):
    server.answers(reply(OLDER, "200 OK", 'ETag: "v0"'), _with_etag)
    run = make_client(cache_ttl_s=60)
    run.fetch(ASK)
    clock.us += TTL_US
    make_client(cache_ttl_s=60).fetch(ASK)  # a sensor's look brings v1
    run.settled()
    clock.us += TTL_US

    assert run.fetch(ASK).body == ROWS


def test_a_later_poll_does_not_vouch_for_the_rows_of_an_abandoned_one(server, make_client, clock):
    server.answers(_with_etag)
    run = make_client(cache_ttl_s=60)
    run.fetch(ASK)
    run.abandoned()
    clock.us += TTL_US
    run.fetch(Request("/other.csv"))
    run.settled()

    assert run.fetch(ASK).body == ROWS


def test_a_station_that_fails_makes_no_news_of_what_the_poll_got_from_the_others(
    server, make_client, clock
):
    server.answers(_with_etag)
    run = make_client(cache_ttl_s=60, max_attempts=1)
    run.fetch(ASK)
    server.answers(reply(b"no", "500 Oops"))
    with pytest.raises(SourceUnavailable):
        run.fetch(Request("/second.csv"))
    run.settled()  # the source went on without it, and the poll's rows are durable
    server.answers(_with_etag)
    clock.us += TTL_US

    assert run.fetch(ASK).not_modified


def test_a_further_page_that_fails_leaves_the_first_one_to_be_read_again(
    server, make_client, clock
):
    server.answers(_with_etag)
    run = make_client(cache_ttl_s=60, max_attempts=1)
    run.fetch(ASK)
    server.answers(reply(b"no", "500 Oops"))
    with pytest.raises(SourceUnavailable):
        run.fetch(Request("/second.csv", continues=True))
    run.settled()
    server.answers(_with_etag)
    clock.us += TTL_US

    assert run.fetch(ASK).body == ROWS


def test_nothing_conditional_is_asked_without_a_validator(server, make_client, clock):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    clock.us += TTL_US
    client.fetch(ASK)

    assert "If-" not in server.requests[1]


def test_a_damaged_entry_is_none(server, make_client, tmp_path):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    (entry,) = (tmp_path / "state" / "answers").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"!")

    assert not client.fetch(ASK).from_cache


def test_an_answer_that_its_source_refuses_is_forgotten(server, make_client):
    server.answers(reply(b"an error text"), reply(ROWS))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)

    client.refused(ASK, ValueError("no header"))

    assert client.fetch(ASK).body == ROWS


def test_an_unwritable_cache_costs_a_request_and_no_poll(server, make_client, tmp_path):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "answers").write_text("in the way")

    assert [client.fetch(ASK).from_cache for _ in range(2)] == [False, False]


def test_all_state_is_for_its_owner_only(server, make_client, tmp_path):
    server.answers(reply(ROWS))
    make_client(cache_ttl_s=60).fetch(ASK)

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").rglob("*")}
    modes[tmp_path / "state"] = stat.S_IMODE((tmp_path / "state").stat().st_mode)

    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_entries_that_nobody_renews_are_removed(server, make_client, clock, tmp_path):
    server.answers(reply(ROWS))
    make_client(cache_ttl_s=60).fetch(ASK)
    clock.us += 3 * 24 * 3600 * 1_000_000
    make_client(cache_ttl_s=60).fetch(Request("/other.csv"))

    assert len(_files(tmp_path)) == 1


def _files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state" / "answers").iterdir())


def test_the_same_bytes_without_a_validator_are_nothing_new(server, make_client, clock):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    client.settled()
    clock.us += TTL_US

    answer = client.fetch(ASK)

    assert (answer.not_modified, answer.body, answer.from_cache) == (True, b"", False)
    assert (client.counters.not_modified, client.counters.api_calls) == (1, 2)


def test_the_same_bytes_are_news_until_their_rows_are_durable(server, make_client, clock):
    server.answers(reply(ROWS))
    make_client(cache_ttl_s=60).fetch(ASK)
    clock.us += TTL_US

    answer = make_client(cache_ttl_s=60).fetch(ASK)

    assert (answer.not_modified, answer.body) == (False, ROWS)


def test_other_bytes_are_news(server, make_client, clock):
    server.answers(reply(ROWS), reply(OLDER))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    client.settled()
    clock.us += TTL_US

    assert client.fetch(ASK).body == OLDER


def test_the_same_bytes_under_a_new_validator_are_asked_for_by_it(server, make_client, clock):
    server.answers(*(reply(ROWS, "200 OK", f'ETag: "v{n}"') for n in range(3)))
    client = make_client(cache_ttl_s=60)
    client.fetch(ASK)
    client.settled()

    for _ in range(2):
        clock.us += TTL_US
        assert client.fetch(ASK).not_modified

    assert 'If-None-Match: "v1"' in server.requests[2]


@pytest.mark.parametrize("answers", [reply(ROWS), _with_etag])
def test_a_new_spool_is_told_what_another_has(server, make_client, clock, answers):
    server.answers(answers)
    client = make_client(cache_ttl_s=60)
    client.serve("the lost one")
    client.fetch(ASK)
    client.settled()
    clock.us += TTL_US

    client.serve("the new one")

    assert client.fetch(ASK).body == ROWS
    client.settled()
    clock.us += TTL_US
    assert client.fetch(ASK).not_modified


def test_a_spool_that_was_adopted_takes_what_the_earlier_one_had_taken(server, make_client):
    server.answers(reply(ROWS))
    client = make_client(cache_ttl_s=60)
    for spool in ("before", "adopted"):
        client.serve(spool)
        answer = client.fetch(ASK, take_look=True)
        client.settled()

        assert (answer.body, answer.from_cache) == (ROWS, False)

    assert len(server.requests) == 1


def test_a_look_is_taken_over_where_no_repeat_is_answered_from_the_cache(server, make_client):
    server.answers(reply(ROWS))
    make_client(look_ttl_s=60).fetch(ASK)
    run = make_client(look_ttl_s=60)

    answers = [run.fetch(ASK, take_look=True) for _ in range(2)]

    assert [(a.body, a.from_cache) for a in answers] == [(ROWS, False)] * 2
    assert (run.counters.looks_taken, run.counters.api_calls) == (1, 1)


def test_a_look_that_found_nothing_new_is_taken_over_as_such(server, make_client, clock):
    server.answers(_with_etag)
    client = make_client(look_ttl_s=60)
    client.fetch(ASK, take_look=True)
    client.settled()
    clock.us += TTL_US
    make_client(look_ttl_s=60).fetch(ASK)

    answer = client.fetch(ASK, take_look=True)

    assert (answer.not_modified, answer.body, len(server.requests)) == (True, b"", 2)


@pytest.mark.parametrize("answers", [reply(ROWS), _with_etag])
def test_a_look_that_a_failed_run_had_taken_is_there_for_the_next(
    server, make_client, clock, answers
):
    server.answers(answers)
    look, failed, run = (make_client(look_ttl_s=60) for _ in range(3))
    look.fetch(ASK)
    failed.fetch(ASK, take_look=True)
    clock.us += TTL_US
    look.fetch(ASK)

    answer = run.fetch(ASK, take_look=True)

    assert (answer.body, answer.from_cache, len(server.requests)) == (ROWS, False, 2)


def test_a_cached_answer_says_whether_a_poll_still_has_to_take_it(server, make_client):
    server.answers(reply(ROWS))
    look, run = (make_client(cache_ttl_s=60) for _ in range(2))
    look.fetch(ASK)

    before = look.fetch(ASK)
    run.fetch(ASK, take_look=True)
    after = look.fetch(ASK)

    assert [(a.from_cache, a.awaits_poll) for a in (before, after)] == [(True, True), (True, False)]
