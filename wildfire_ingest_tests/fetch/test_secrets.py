"""A key is on the wire to its own server, and nowhere else."""

from __future__ import annotations

import base64
import io
import logging
import socket
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.redact import REDACTOR, Redactor, install, redact, redact_bytes
from wildfire_ingest_tests.fetch.loopback import Server, reply

KEY = "ca%nary+key/with space&x=1"
ROWS = b"latitude,longitude\n1.0,2.0\n"
ASK = Request(
    "/api/area/csv/{map_key}/world",
    secrets={"map_key": Secret(KEY)},
    secret_headers={"X-API-Key": Secret("header-" + KEY)},
)


def _all_forms() -> list[str]:
    plain = [KEY, quote(KEY, safe=""), quote(KEY), quote_plus(KEY), quote(quote(KEY, safe=""))]
    aligned = [base64.b64encode(b"u" * n + KEY.encode()).decode()[n + 1 : -4] for n in range(3)]
    return [*plain, *aligned]


def _shows(text: str) -> list[str]:
    return [form for form in _all_forms() if form in text]


@pytest.fixture
def log():
    """All that urllib3 and we log at DEBUG, by a handler without any filter of its own."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def _echo(status: str, before: bytes = b""):
    def script(line: socket.socket, request: str) -> None:
        body = before + request.encode("latin-1") + KEY.encode()
        line.sendall(reply(body, status, f"X-Echo: {KEY}"))

    return script


BAD_ENDS = {
    "answer": reply(ROWS),
    "echo": _echo("200 OK"),
    "html echo": _echo("200 OK", b"<html>"),
    "echo 400": _echo("400 Bad"),
    "echo 500": _echo("500 Oops"),
    "cut": reply(ROWS, length=99),
    "redirect": reply(b"", "302 Found", f"Location: http://127.0.0.2:9/{quote(KEY, safe='')}"),
    "bad header": b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\nx",
    "no http": b"who is " + KEY.encode() + b"?\r\n\r\n",
    "closed": b"",
}


def _outcome_of(client: ApiClient) -> tuple[str, tuple[object, object]]:
    """All that a caller could show of a fetch, and the errors behind its error."""
    try:
        return repr(client.fetch(ASK)), (None, None)
    except FetchError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = "".join(trace.format()) + repr(error) + error.sample
        return shown, (error.__cause__, error.__context__)


@pytest.mark.parametrize("end", BAD_ENDS)
def test_a_key_is_in_no_log_error_or_stored_byte(server, make_client, tmp_path, log, end):
    server.answers(BAD_ENDS[end])
    client = make_client(cache_ttl_s=60, max_attempts=2, backoff_base_s=0)
    shown, hidden = _outcome_of(client)

    stored = b"".join(p.read_bytes() for p in (tmp_path / "state").rglob("*") if p.is_file())
    names = " ".join(str(p) for p in tmp_path.rglob("*"))
    assert hidden == (None, None)
    for text in (shown, log.getvalue(), stored.decode("latin-1"), names):
        assert _shows(text) == []
    assert quote(KEY, safe="") in server.requests[0]


def test_the_server_is_given_the_key_as_it_is(server, make_client):
    server.answers(reply(ROWS))
    make_client().fetch(ASK)

    assert f"GET /api/area/csv/{quote(KEY, safe='')}/world HTTP/1.1" in server.requests[0]
    assert f"X-API-Key: header-{KEY}" in server.requests[0]


def test_an_error_names_the_template(server, make_client):
    server.answers(reply(b"no", "403 Forbidden"))

    with pytest.raises(SourceRejected, match=r"/api/area/csv/\{map_key\}/world"):
        make_client().fetch(ASK)


def test_a_redirect_to_another_host_is_refused_and_gets_no_key(server, make_client):
    elsewhere = Server()
    elsewhere.answers(reply(ROWS))
    server.answers(reply(b"", "302 Found", f"Location: {elsewhere.url}/x"))
    try:
        with pytest.raises(AnswerRefused, match="302"):
            make_client().fetch(ASK)
        assert elsewhere.requests == []
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest", "file:///etc/passwd", "//evil.example/x", "https:///", "",
     "http://user@{host}/x", "gopher://{host}/", "http://[::1"],
)  # fmt: skip
def test_a_redirect_that_leaves_the_server_is_refused(server, make_client, location):
    there = location.replace("{host}", server.url.removeprefix("http://"))
    server.answers(reply(b"", "307 Go", f"Location: {there}"))

    with pytest.raises((AnswerRefused, SourceUnavailable)):
        make_client(max_attempts=1).fetch(ASK)

    assert len(server.requests) <= 4


def test_a_redirect_on_the_same_server_is_followed_and_takes_a_token(server, make_client):
    server.answers(reply(b"", "301 Moved", "Location: /new.csv?a=1"), reply(ROWS))
    client = make_client()

    assert client.fetch(ASK).body == ROWS
    assert client.counters.api_calls == 2
    assert client.counters.waited_s == 0
    assert "GET /new.csv?a=1" in server.requests[1]


def test_redirects_end_after_three(server, make_client):
    server.answers(reply(b"", "302 Found", "Location: /again"))

    with pytest.raises(AnswerRefused, match="over 3 redirects"):
        make_client().fetch(ASK)

    assert len(server.requests) == 4


def test_proxies_and_netrc_of_the_environment_are_not_used(
    server, make_client, monkeypatch, tmp_path
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answers(reply(ROWS))

    assert make_client().fetch(ASK).body == ROWS
    assert "Authorization" not in server.requests[0]


def test_cookies_are_not_sent_back(server, make_client):
    server.answers(reply(ROWS, "200 OK", "Set-Cookie: who=me; Path=/"))
    client = make_client()
    client.fetch(ASK)
    client.fetch(ASK)

    assert "Cookie" not in server.requests[1]


def test_a_key_that_cannot_be_a_header_is_named_not_shown(make_client):
    odd = "odd\r\nX-Evil: canary-1234"
    request = Request("/x", secret_headers={"X-API-Key": Secret(odd)})

    with pytest.raises(SourceRejected, match="header's value") as caught:
        make_client().fetch(request)

    assert "canary-1234" not in str(caught.value)


def test_exceptions_in_a_log_are_cleaned():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    own = Redactor()
    own.learn([Secret(KEY)])
    handler.addFilter(own)
    log = logging.Logger("x")  # noqa: LOG001 (of this test only: nothing else may hear it)
    log.addHandler(handler)

    try:
        int(f"GET /{quote(KEY, safe='')} failed")
    except ValueError:
        log.exception("asking %s", KEY)
    log.error("%d of them", "not a number " + KEY)

    assert _shows(stream.getvalue()) == []
    assert "[redacted]" in stream.getvalue()


def test_installing_twice_filters_once():
    handler = logging.NullHandler()

    install(handler)
    install(handler)

    assert handler.filters == [REDACTOR]


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_a_secret_survives(value, before, after):
    secret = [Secret(value)]
    for form in {value, quote(value, safe=""), quote_plus(value)}:
        if len(form.strip()) >= 4:
            assert form not in redact(before + form + after, secret).replace("[redacted]", "\0")


@given(st.binary(max_size=200))
def test_a_body_without_the_secret_is_untouched(body):
    assert redact_bytes(body, [Secret("a-long-canary-value")]) == body


@given(st.integers(0, 40), st.sampled_from(["canary-key-12345", "kéy/with+odd%bytes"]))
def test_base64_of_a_text_around_the_secret_is_cleaned(n, value):
    text = base64.b64encode(b"u" * n + b":" + value.encode() + b"tail").decode()

    assert "[redacted]" in redact(text, [Secret(value)])
