"""Takes the secrets out of text by their values, in every form in which they travel.

A pattern such as `key=…` is defeated by a space in the value; the value itself is not.  Forms:
as it is, percent-encoded (once and twice), as a form field, inside JSON, and in base64 at
each of its three alignments.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import traceback
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

from wildfire_ingest.exchange import Secret

_ESCAPE = re.compile("%[0-9A-F]{2}")
SHOWN_INSTEAD = "[redacted]"
SHORTEST_SECRET = 4
"""A shorter value is in every text by chance."""
NOISY_LOGGERS = (
    "urllib3",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
    "requests",
)
"""Filters of a logger are not inherited: each that can log a URL is named."""


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """`text` without any form of the secrets' values."""
    pattern = _pattern(frozenset(secrets))
    return pattern.sub(SHOWN_INSTEAD, text) if pattern else text


def redact_bytes(body: bytes, secrets: Iterable[Secret]) -> bytes:
    """The same for an answer's body; an answer that echoes no secret is returned as it is."""
    for form in _bytes_forms(frozenset(secrets)):
        # A search for one literal costs microseconds a megabyte; the pattern would cost 50 ms.
        if form in body:
            body = body.replace(form, SHOWN_INSTEAD.encode())
    return body


def forms(value: str) -> set[str]:
    """Every form of `value` that is long enough to look for."""
    plain = {value, value.strip()}
    quoted = {f(v) for v in plain for f in (lambda v: quote(v, safe=""), quote, quote_plus)}
    twice = {quote(v, safe="") for v in quoted}
    inside_json = {json.dumps(v, ensure_ascii=a)[1:-1] for v in plain for a in (True, False)}
    in_repr = {repr(v)[1:-1] for v in plain}
    found = plain | quoted | twice | inside_json | in_repr | _base64_forms(value)
    return {form for form in found if len(form) >= SHORTEST_SECRET}


def _base64_forms(value: str) -> set[str]:
    """What of `value` shows in the base64 of any text that has it, e.g. `user:value`."""
    found: set[str] = set()
    for before in range(3):
        raw = b"\0" * before + value.encode("utf-8", "surrogatepass")
        # Characters made of the value's own bits only: those at the edges mix in neighbours.
        first = -(-before * 8 // 6)
        last = len(raw) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            part = encode(raw).decode()[first:last]
            # A short part would match by chance.
            if len(part) >= 2 * SHORTEST_SECRET:
                found.add(part)
    return found


@lru_cache(maxsize=256)
def _pattern(secrets: frozenset[Secret]) -> re.Pattern[str] | None:
    found = {form for secret in secrets for form in _forms_of(secret)}
    if not found:
        return None
    # The longest first: a form that contains another goes as a whole.
    return re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True))), re.IGNORECASE)


@lru_cache(maxsize=256)
def _bytes_forms(secrets: frozenset[Secret]) -> tuple[bytes, ...]:
    found = {form for secret in secrets for form in _forms_of(secret)}
    # Percent-escapes are written in both cases: %2B, %2b.
    found |= {_ESCAPE.sub(lambda m: m[0].lower(), form) for form in found}
    raw = {form.encode("utf-8", "surrogatepass") for form in found}
    return tuple(sorted(raw, key=len, reverse=True))


def _forms_of(secret: Secret) -> set[str]:
    value = secret.reveal()
    return forms(value) if len(value) >= SHORTEST_SECRET else set()


class Redactor(logging.Filter):
    """A filter for log handlers, and for loggers, that knows the secrets' values."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._secrets: frozenset[Secret] = frozenset()

    def learn(self, secrets: Iterable[Secret]) -> None:
        """From now on these values are taken out as well."""
        new = frozenset(secrets)
        if not new <= self._secrets:
            with self._lock:
                self._secrets |= new

    def clean(self, text: str) -> str:
        """`text` without any secret that was learnt."""
        return redact(text, self._secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is cleaned, not dropped."""
        text = _message(record)
        cleaned = self.clean(text)
        if cleaned != text:
            record.msg, record.args = cleaned, None
        self._clean_exception(record)
        return True

    def _clean_exception(self, record: logging.LogRecord) -> None:
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        if not record.exc_info or record.exc_info[0] is None:
            return
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        cleaned = self.clean(text)
        if cleaned != text:
            # Other handlers would format the exception anew: they get the cleaned text only.
            record.exc_info, record.exc_text = None, cleaned


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A malformed log call: its parts may still hold a secret.
        return f"{record.msg} {record.args}"


REDACTOR = Redactor()
"""The process's own: knows the secrets of every client that was used in it."""


def install(*handlers: logging.Handler) -> Redactor:
    """Put the process's redactor on `handlers` and on the loggers that can log a URL."""
    for target in (*handlers, *(logging.getLogger(name) for name in NOISY_LOGGERS)):
        target.addFilter(REDACTOR)  # adding twice is adding once
    return REDACTOR
