"""One exchange with a server: a reply, or why there is none, as values.

Foreign errors are mapped here and nowhere else.  They hold the URL with its key in their text,
arguments and frames, so none of them leaves this module, not even as a context.  Seconds, bytes.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import importlib.metadata
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import requests
import urllib3

from wildfire_ingest.fetch.answer import meaning
from wildfire_ingest.fetch.connection import (
    AddressRefused,
    Guard,
    LookupFailed,
    Watch,
    guarded_adapter,
)
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.fetch.target import Target

READ_BYTES = 64 * 1024
ERROR_BODY_BYTES = 64 * 1024
"""So much of an error's body is read: enough for its text."""
OLDEST_URLLIB3 = (2, 6, 3)
"""Earlier ones unpack and follow without bounds: CVE-2025-66418, -66471, CVE-2026-21441."""

_FOUND_URLLIB3 = importlib.metadata.version("urllib3")
if tuple(int(part) for part in _FOUND_URLLIB3.split(".")[:3]) < OLDEST_URLLIB3:
    raise ImportError(f"urllib3 {_FOUND_URLLIB3} is unsafe: install 2.6.3 or later")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire; the body is still packed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class NoReply:
    """Why there is no reply, without a secret."""

    why: str
    kind: Literal["passes", "cut", "oversize", "refused", "stopped"] = "passes"
    n_bytes: int = 0


class _Session(requests.Session):
    """A session that leaves redirects alone."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 (its signature)
        # Otherwise requests reads and unpacks a redirect's whole body, without any bound, even
        # where it is told not to follow.
        return None


class Transport:
    """One source's HTTP session: no proxy, no netrc, no cookie, no redirect of its own."""

    def __init__(self, settings: FetchSettings, target: Target) -> None:
        self._max_bytes = settings.max_body_bytes
        self._guard = Guard(target.may_connect)
        self._session = _Session()
        self._session.trust_env = False
        self._session.verify = str(settings.ca_file) if settings.ca_file else True
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, guarded_adapter(self._guard))

    def get(
        self, url: str, headers: Mapping[str, str], left_s: float, stop: threading.Event | None
    ) -> Reply | NoReply:
        """Ask once; over after `left_s` whatever the server does."""
        with Watch(left_s, stop) as watch:
            self._guard.under(watch)
            try:
                reply = self._get(url, headers, left_s)
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                http.client.HTTPException,
                AddressRefused,
                LookupFailed,
                OSError,
                ValueError,
            ) as error:
                reply = _described(error)
            if watch.ended == "stopped":
                return NoReply("stopped", "stopped")
            # A body that a shut down connection ended may look whole: no length was declared.
            return NoReply("no whole answer before the deadline") if watch.ended else reply

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()

    def _get(self, url: str, headers: Mapping[str, str], left_s: float) -> Reply | NoReply:
        with self._session.get(
            url, headers=dict(headers), stream=True, timeout=left_s, allow_redirects=False
        ) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            is_answer = meaning(response.status_code) == "answer"
            body = bytearray()
            for part in _parts(response.raw):
                body += part
                if is_answer and len(body) > self._max_bytes:
                    return NoReply(
                        f"the body is over {self._max_bytes} bytes", "oversize", len(body)
                    )
                if not is_answer and len(body) >= ERROR_BODY_BYTES:
                    break
            return Reply(response.status_code, found, bytes(body))


def _parts(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    # read1: what has come, at most; read would wait for all of its bytes.
    while part := raw.read1(READ_BYTES, decode_content=False):
        yield part


def _described(error: BaseException) -> NoReply:
    """The reason, from the kinds in the chain of errors; never from their texts."""
    found = (reply for cause in _chain(error) if (reply := _reason(cause)) is not None)
    return next(found, NoReply(f"the exchange failed ({type(error).__name__})"))


def _reason(cause: BaseException) -> NoReply | None:
    match cause:
        case AddressRefused():
            return NoReply(f"{cause}, which must not be reached from here", "refused")
        case requests.exceptions.InvalidHeader() | UnicodeEncodeError():
            return NoReply("a header's value cannot be sent: look for odd bytes in it", "refused")
        case http.client.IncompleteRead():  # urllib3's is one, too
            return NoReply("the answer is cut", "cut")
        case LookupFailed():
            why = f"the host name {cause} has no address"
        case ssl.SSLCertVerificationError():
            why = f"the server's certificate is refused: {cause.verify_message}"
        case _:
            why = next((why for kinds, why in _REASONS if isinstance(cause, kinds)), "")
    return NoReply(why) if why else None


_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError,), "TLS failed"),
    ((ConnectionRefusedError,), "the connection was refused"),
    ((http.client.RemoteDisconnected,), "the server closed without an answer"),
    ((ConnectionResetError, BrokenPipeError), "the server broke the connection"),
    ((TimeoutError, urllib3.exceptions.TimeoutError), "the server did not answer in time"),
    ((http.client.LineTooLong,), "the answer's headers are too long"),
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of, the innermost first: that is the most exact."""
    found: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.append(one)
        parts = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        todo.extend(part for part in parts if isinstance(part, BaseException))
    return reversed(found)
