"""Answers kept for a while: one file each, named by a hash, shared by all processes.

An entry serves three ends: a repeat within the time to live (no poll), one process's look that
another takes over as its poll, and what is new of a later answer: the validators of a conditional
request, and the bytes.  Which spool took an entry, and in which its rows are durable, stands in
the shared state: exactly one poll takes it, and a spool that was made anew, or adopted another's
end, is told everything again.  A cache that cannot be written costs a request, never a poll.
Times: integer microseconds, wall clock.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.exchange import Request
from wildfire_ingest.fetch.shared_state import SharedState, hashed, private_directory

KEPT_US = 2 * 24 * 3600 * SECOND_US
"""An entry that nobody renewed for so long is removed; a conditional request needs it longer
than its time to live."""
_VALIDATORS = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
_NOBODY = 0
_KEPT_HEADERS = frozenset({"content-type", "date", "etag", "last-modified", "expires"})


class _Head(msgspec.Struct, frozen=True):
    """The first line of a file."""

    fetched_at_us: int
    sha256: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept answer."""

    name: str
    fetched_at_us: int
    validated_at_us: int
    """When the server last said that it is still true."""
    headers: Mapping[str, str]
    body: bytes
    taken: bool = False
    """Somebody has it as a poll."""
    settled: bool = False
    """Its rows are durable; only then may "nothing new" stand for them."""

    def is_fresh(self, now_us: int, ttl_us: int) -> bool:
        """Young enough to answer; one from the future is a clock that was set back: not."""
        return 0 <= now_us - self.validated_at_us < ttl_us

    def validators(self) -> dict[str, str]:
        """The headers that ask "anything new since?"; none where the server gave no validator."""
        return {ask: self.headers[given] for given, ask in _VALIDATORS if given in self.headers}


class ResponseCache:
    """The kept answers of one source."""

    def __init__(self, state: SharedState, state_dir: Path, source_id: str, base_url: str) -> None:
        self._state = state
        self._directory = state_dir / "answers"
        self._of = (source_id, base_url)
        self._spool = _mark("")

    def serve(self, spool_id: str) -> None:
        """Taken and settled mean by this spool from now on."""
        self._spool = _mark(spool_id)

    def name_of(self, request: Request) -> str:
        """The same for the same request with the same secrets; shows neither."""
        parts = [*self._of, request.template, request.expects]
        for kind, secrets in (("s", request.secrets), ("h", request.secret_headers)):
            parts += [f"{kind}{key}={value.reveal()}" for key, value in sorted(secrets.items())]
        parts += [f"{key}:{value}" for key, value in sorted(request.headers.items())]
        return hashed("answer", *parts)

    def find(self, request: Request) -> Entry | None:
        """The entry of `request`, fresh or not; a damaged one is none."""
        name = self.name_of(request)
        try:
            line, _, body = self._read(name).partition(b"\n")
            head = msgspec.json.decode(line, type=_Head)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if hashlib.sha256(body).hexdigest() != head.sha256:
            return None
        entry = Entry(name, head.fetched_at_us, head.fetched_at_us, head.headers, body)
        with self._state.transaction() as db:
            row = db.execute(
                "SELECT validated_at_us, taken, settled FROM answer "
                "WHERE name = ? AND fetched_at_us = ?",
                (name, entry.fetched_at_us),
            ).fetchone()
        if row is None:
            return entry
        taken, settled = (one == self._spool for one in row[1:])
        return replace(entry, validated_at_us=row[0], taken=taken, settled=settled)

    def keep(
        self, request: Request, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> Entry | None:
        """Keep a new answer; None where the disk did not take it."""
        kept = {key: value for key, value in headers.items() if key in _KEPT_HEADERS}
        entry = Entry(self.name_of(request), now_us, now_us, kept, body)
        if not self._stored(entry, now_us):
            return None
        with self._state.transaction() as db:
            row = (entry.name, now_us, now_us, _NOBODY, _NOBODY)
            db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?)", row)
        return entry

    def renew(self, entry: Entry, headers: Mapping[str, str], now_us: int) -> Entry:
        """The same bytes came again: keep them under the validators that came with them."""
        new = {key: value for key, value in headers.items() if key in _KEPT_HEADERS}
        if all(new.get(key) == entry.headers.get(key) for key, _ in _VALIDATORS):
            return entry  # a new Date alone is not worth a write
        renewed = replace(entry, headers=new)
        return renewed if self._stored(renewed, now_us) else entry

    def take(self, entry: Entry) -> bool:
        """Have this answer as one's poll; True for exactly one caller of all processes."""
        with self._state.transaction() as db:
            done = db.execute(
                "UPDATE answer SET taken = ? WHERE name = ? AND fetched_at_us = ? AND taken <> ?",
                (self._spool, entry.name, entry.fetched_at_us, self._spool),
            )
            return done.rowcount == 1

    def settle(self, entry: Entry) -> None:
        """Its rows are durable."""
        self._set(entry, "settled = ?", self._spool)

    def validated(self, entry: Entry, now_us: int, *, taken: bool) -> None:
        """The server said that it is still true: to a poll (`taken`), or to a look."""
        taker = self._spool if taken else _NOBODY
        self._set(entry, "validated_at_us = ?, taken = ?", now_us, taker)

    def drop(self, request: Request) -> None:
        """Forget what is no answer after all."""
        with suppress(OSError):
            (self._directory / self.name_of(request)).unlink()

    def prune(self, now_us: int) -> None:
        """Remove what nobody renewed for KEPT_US; what a killed process left unfinished too."""
        limit_us = now_us - KEPT_US
        with suppress(OSError):
            for file in list(self._directory.iterdir()):
                with suppress(OSError):
                    if file.lstat().st_mtime_ns // 1000 < limit_us:
                        file.unlink()
        with self._state.transaction() as db:
            db.execute("DELETE FROM answer WHERE validated_at_us < ?", (limit_us,))

    def _set(self, entry: Entry, what: str, *values: int) -> None:
        with self._state.transaction() as db:
            where = (entry.name, entry.fetched_at_us)
            found = "name = ? AND fetched_at_us = ?"
            db.execute(f"UPDATE answer SET {what} WHERE {found}", (*values, *where))

    def _stored(self, entry: Entry, now_us: int) -> bool:
        digest = hashlib.sha256(entry.body).hexdigest()
        head = _Head(entry.fetched_at_us, digest, dict(entry.headers))
        try:
            private_directory(self._directory)
            self._write(entry.name, msgspec.json.encode(head) + b"\n", entry.body, now_us)
        except OSError:
            return False
        return True

    def _read(self, name: str) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._directory / name, flags), "rb") as file:
            return file.read()

    def _write(self, name: str, head: bytes, body: bytes, now_us: int) -> None:
        path = self._directory / f".{name}.{os.getpid()}.{threading.get_ident()}"
        with suppress(FileNotFoundError):
            path.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                file.write(head)
                file.write(body)
            # The caller's clock, so that pruning compares like with like.
            os.utime(path, ns=(now_us * 1000, now_us * 1000))
            path.rename(self._directory / name)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise


def _mark(spool_id: str) -> int:
    """A spool as the shared state names it; never that of nobody."""
    return int.from_bytes(hashlib.sha256(spool_id.encode()).digest()[:7], "big") | 1
