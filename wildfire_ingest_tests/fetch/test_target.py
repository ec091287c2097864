"""Which server a source may be, and that no path, name or address leads elsewhere."""

from __future__ import annotations

import socket
import ssl
from ipaddress import IPv4Address
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import ConfigError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest.fetch.target import Target
from wildfire_ingest_tests.fetch.certificates import (
    RIGHT_HOST,
    RIGHT_HOST_KEY,
    WRONG_HOST,
    WRONG_HOST_KEY,
)
from wildfire_ingest_tests.fetch.loopback import reply

PUBLIC = Target("https://firms.modaps.eosdis.nasa.gov")


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "ftp://example.org", "example.org", "", "https://", "file:///etc/passwd",
     "https://user:pw@example.org", "https://example.org?x=1", "https://example.org/#x",
     "https://exa mple.org", "https://[::1", "https://h:99999", "http://127.0.0.1.evil.example",
     "http://2130706433", "http://169.254.169.254", "https://example.org\\@evil.example"],
)  # fmt: skip
def test_a_base_url_that_must_not_be_used_is_refused(url):
    with pytest.raises(ConfigError):
        Target(url)


@pytest.mark.parametrize(
    "url", ["https://example.org/v1/", "http://127.0.0.1:8000", "http://localhost", "http://[::1]"]
)
def test_https_anywhere_and_http_to_this_machine_are_allowed(url):
    assert Target(url).url(Request("/x")) == url.rstrip("/") + "/x"


def test_plain_http_elsewhere_needs_to_be_said():
    assert Target("http://10.0.0.5", allow_insecure_http=True).may_connect("10.0.0.5")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", str(IPv4Address(0)), "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::",
     "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1",
     "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b::7f00:1",
     "2002:7f00:1::", "2002:a00:1::"],
)  # fmt: skip
def test_a_public_source_leads_to_no_inner_address(address):
    assert not PUBLIC.may_connect(address)


@pytest.mark.parametrize("address", ["198.118.194.34", "2001:4d0:241a:442::34", "64:ff9b::808:808"])
def test_a_public_address_may_be_reached(address):
    assert PUBLIC.may_connect(address)


def test_a_loopback_source_leads_to_loopback_only():
    target = Target("http://localhost:8000")

    assert target.may_connect("::1")
    assert not target.may_connect("198.118.194.34")


@pytest.mark.parametrize(
    "path",
    ["x", "", "//evil.example/x", "/a b", "/a\r\nX: y", "/a#b", "/a\\b", "/../x", "/a/..", "/a/./b",
     "/%2e%2e/x", "/a\x00", "@evil.example/", "/{unknown}"],
)  # fmt: skip
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(SourceRejected):
        PUBLIC.url(Request(path))


@given(st.text(min_size=1, max_size=30).filter(lambda v: v not in {".", ".."}))
def test_a_secret_stays_one_part_of_the_path(value):
    filled = PUBLIC.url(Request("/api/{key}/world", secrets={"key": Secret(value)}))

    part = quote(value, safe="", errors="surrogatepass")
    assert filled == f"https://firms.modaps.eosdis.nasa.gov/api/{part}/world"
    assert filled.count("/") == 5


def test_a_secret_of_dots_is_refused():
    with pytest.raises(SourceRejected):
        PUBLIC.url(Request("/api/{key}/x", secrets={"key": Secret("..")}))


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
def test_a_name_that_resolves_inside_is_refused_before_a_byte_is_sent(
    server, make_client, monkeypatch, inner
):
    port = int(server.url.rpartition(":")[2])
    family = socket.AF_INET6 if ":" in inner else socket.AF_INET
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port)),
        (family, socket.SOCK_STREAM, 6, "", (inner, port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(SourceRejected, match=f"resolves to {inner}"):
        make_client(base_url=f"https://rebound.example:{port}").fetch(Request("/x"))

    assert server.requests == []


def test_a_name_without_an_address_is_unavailable(make_client, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(SourceUnavailable, match=r"nowhere\.example has no address"):
        make_client(base_url="https://nowhere.example", max_attempts=1).fetch(Request("/x"))


def _tls(server, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    inner = server._serve

    def serve(line):
        try:
            wrapped = context.wrap_socket(line, server_side=True)
        except OSError:
            line.close()
        else:
            inner(wrapped)

    server._serve = serve
    return server.url.replace("http:", "https:")


@pytest.fixture
def certificates(tmp_path):
    """Files of the two: `.crt` to be trusted, `.pem` to be shown by a server."""
    for name, shown, key in (
        ("right", RIGHT_HOST, RIGHT_HOST_KEY),
        ("wrong", WRONG_HOST, WRONG_HOST_KEY),
    ):
        (tmp_path / f"{name}.crt").write_text(shown)
        (tmp_path / f"{name}.pem").write_text(shown + key)
    return tmp_path


def test_a_trusted_certificate_of_the_right_host_is_accepted(server, make_client, certificates):
    url = _tls(server, certificates / "right.pem")
    server.answers(reply(b"a,b\n"))

    client = make_client(base_url=url, ca_file=certificates / "right.crt")

    assert client.fetch(Request("/x")).body == b"a,b\n"


@pytest.mark.parametrize(("name", "trusted"), [("right", False), ("wrong", True)])
def test_a_bad_certificate_is_refused_and_never_falls_back_to_plaintext(
    server, make_client, certificates, name, trusted
):
    url = _tls(server, certificates / f"{name}.pem")
    trust = {"ca_file": certificates / f"{name}.crt"} if trusted else {}

    with pytest.raises(SourceUnavailable, match="certificate is refused"):
        make_client(base_url=url, max_attempts=1, **trust).fetch(Request("/x"))

    assert server.requests == []


def test_a_tls_handshake_that_never_ends_is_over_at_the_deadline(server, make_client):
    server._serve = lambda line: (server.over.wait(10), line.close())
    client = make_client(
        base_url=server.url.replace("http:", "https:"), real_time=True, deadline_s=0.5
    )

    with pytest.raises(SourceUnavailable, match=r"deadline|in time"):
        client.fetch(Request("/x"))
