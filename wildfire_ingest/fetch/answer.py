"""Whether what came over the wire is an answer at all: the checks that hold for every API.

Pure.  A 200 is not yet an answer: it may be cut, be HTML of a proxy, or unpack to a disk full
of zeros.  What a body means is for its source to say.  Sizes in bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Literal

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Secret
from wildfire_ingest.fetch.redact import forms, redact

SAMPLE_CHARS = 200
BOMB_FLOOR_BYTES = 8 * 1024 * 1024
BOMB_RATIO = 200
"""CSV and JSON pack 5 to 20 times; deflate's most is 1,032."""
MAX_MEMBERS = 4096
_PIECE_BYTES = 64 * 1024
_STEP_BYTES = 1024 * 1024
_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_MAY_PASS = frozenset({408, 425, 429})
_OF_ONE_PATH = frozenset({404, 405, 406, 410, 414, 416})
_OK, _NOT_MODIFIED, _NOT_FOUND = 200, 304, 404
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Meaning = Literal["answer", "not_modified", "redirect", "later", "rejected", "refused"]


def meaning(status: int) -> Meaning:
    """What a status says of the request, before its body is looked at."""
    if status == _OK:
        return "answer"
    if status == _NOT_MODIFIED:
        return "not_modified"
    if status in _REDIRECTS:
        return "redirect"
    if status in _MAY_PASS or 500 <= status <= 599:  # noqa: PLR2004 (RFC 9110, 15.6)
        return "later"
    return "rejected" if 400 <= status <= 499 else "refused"  # noqa: PLR2004 (RFC 9110, 15.5)


def is_missing(status: int) -> bool:
    """Whether there is nothing under this path, which some requests expect."""
    return status == _NOT_FOUND


def status_error(
    status: int, what: str, sample: str, retry_after_s: float | None = None
) -> FetchError:
    """The error for a status that brings no answer."""
    text = f"{what}: status {status}" + (f", body: {sample}" if sample else "")
    kinds: dict[str, type[FetchError]] = {"later": SourceUnavailable, "rejected": SourceRejected}
    kind = kinds.get(meaning(status), AnswerRefused)
    return kind(text, status=status, retry_after_s=retry_after_s, sample=sample)


def condemns_the_source(status: int | None) -> bool:
    """Whether a rejection speaks of the key or the whole API, not of one path (a station)."""
    return status not in _OF_ONE_PATH


def check_length(what: str, headers: Mapping[str, str], received: int) -> None:
    """Raises AnswerRefused where the declared Content-Length was not reached."""
    declared = headers.get("content-length")
    if declared is None or "transfer-encoding" in headers:
        return
    if not (declared.isascii() and declared.isdigit()):
        raise AnswerRefused(f"{what}: Content-Length {declared[:40]!r} is not a number", status=200)
    if int(declared) != received:
        raise AnswerRefused(
            f"{what}: the answer ends after {received} of {declared} bytes", status=200
        )


def unpack(what: str, encoding: str, body: bytes, max_bytes: int) -> bytes:
    """The plain body.  Raises AnswerRefused for a bomb, a cut or an encoding not asked for."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name in {"gzip", "x-gzip"}:
        return _inflate(what, body, 16 + zlib.MAX_WBITS, max_bytes)
    if name == "deflate":
        # RFC 9110, 8.4.1.2: some servers send it without the zlib format around it.
        is_zlib = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and not _word(body) % 31
        return _inflate(what, body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, max_bytes)
    raise AnswerRefused(
        f"{what}: Content-Encoding {encoding[:40]!r}; asked for one of gzip, deflate", status=200
    )


def check_body(what: str, expects: str, body: bytes, secrets: Iterable[Secret]) -> bytes:
    """The body without a byte order mark.  Raises AnswerRefused where it cannot be an answer."""

    def refuse(why: str) -> AnswerRefused:
        return AnswerRefused(f"{what}: {why}", status=200, sample=sample_of(body, secrets))

    if not body.strip():
        raise refuse("status 200 with an empty body")
    # Whatever the Content-Type: providers send CSV as text/plain and errors as text/csv.
    if _HTML.match(body.removeprefix(_UTF8_BOM)[:4096]):
        raise refuse("status 200 with an HTML page")
    if expects == "binary":
        return body
    if body.startswith(_WIDE_BOMS):
        raise refuse(f"the body is UTF-16 or UTF-32; expected {expects} in UTF-8")
    body = body.removeprefix(_UTF8_BOM)
    if body.lstrip()[:1] == b"<":
        raise refuse(f"status 200 with markup; expected {expects}")
    return body


def sample_of(body: bytes, secrets: Iterable[Secret]) -> str:
    """The first characters for a person: redacted, controls escaped, at most SAMPLE_CHARS."""
    known = frozenset(secrets)
    longest = max((len(form) for s in known for form in forms(s.reveal())), default=1)
    # Redacted before it is cut, and from enough text that no cut secret reaches the sample.
    text = redact(body[: 2 * SAMPLE_CHARS * (longest + 4)].decode("utf-8", "replace"), known)
    shown = text.strip()[:SAMPLE_CHARS].encode("unicode_escape").decode("ascii")
    return shown[:SAMPLE_CHARS]


def _inflate(what: str, body: bytes, wbits: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = at = 0
    try:
        # A gzip body may have several members, and zeros at its end (RFC 1952, 2.2).
        for _ in range(MAX_MEMBERS):
            stream = zlib.decompressobj(wbits)
            while not stream.eof:
                piece = body[at : at + _PIECE_BYTES]
                part = stream.decompress(piece, _STEP_BYTES)
                if not piece and not part:
                    raise AnswerRefused(f"{what}: the compressed body is cut", status=200)
                at += len(piece) - len(stream.unconsumed_tail) - len(stream.unused_data)
                size += len(part)
                parts.append(part)
                _check_size(what, size, len(body), max_bytes)
            if at == len(body) or (body[at] == 0 and not body[at:].strip(b"\0")):
                return b"".join(parts)
    except zlib.error as error:
        raise AnswerRefused(f"{what}: the body is not what it says: {error}", status=200) from None
    raise AnswerRefused(f"{what}: over {MAX_MEMBERS} gzip members", status=200)


def _check_size(what: str, plain: int, packed: int, max_bytes: int) -> None:
    if plain > max_bytes:
        raise AnswerRefused(f"{what}: the body unpacks to over {max_bytes} bytes", status=200)
    if plain > BOMB_FLOOR_BYTES and plain > BOMB_RATIO * packed:
        raise AnswerRefused(
            f"{what}: {packed} bytes unpack to over {plain}: a decompression bomb", status=200
        )


def _word(body: bytes) -> int:
    return int.from_bytes(body[:2], "big")
