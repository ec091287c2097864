"""The spool's file: its place, its owner's lock, its schema and its connections.

SQLite, WAL, synchronous=FULL: what COMMIT returned for survives power loss (sqlite.org/wal.html).
The lock is a file of its own: closing any other descriptor of the database would drop SQLite's
POSIX locks (sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
from pathlib import Path

from wildfire_ingest.errors import SpoolBusy, SpoolCorrupt, SpoolError

SCHEMA_VERSION = 1
_LOCK_TRIES = 3
_LOCK_WAIT_S = 0.025
"""Whoever asks if a source runs holds its lock for microseconds: not yet a second owner."""
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE loads (
  key INTEGER PRIMARY KEY,         -- lane * 2^48 + seq
  lane INTEGER NOT NULL, seq INTEGER NOT NULL, poll INTEGER NOT NULL, state INTEGER NOT NULL,
  n INTEGER NOT NULL, dead INTEGER NOT NULL, bytes INTEGER NOT NULL, topics TEXT NOT NULL,
  digest BLOB NOT NULL, sha256 BLOB NOT NULL, cursor_before BLOB,
  newest_observed_s INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL, done_at_us INTEGER
);
CREATE INDEX pending ON loads (lane, seq) WHERE state = 0;
CREATE TABLE payloads (key INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE ids (key INTEGER PRIMARY KEY, ids BLOB NOT NULL);
CREATE TABLE readdressed (
  key INTEGER NOT NULL, row INTEGER NOT NULL, letter BLOB NOT NULL, PRIMARY KEY (key, row)
) WITHOUT ROWID;
CREATE TABLE ledger (
  name TEXT NOT NULL, lane INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (name, lane)
) WITHOUT ROWID;
CREATE TABLE gaps (at_us INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, lane INTEGER, seq INTEGER, n INTEGER NOT NULL,
  reason TEXT NOT NULL, ids BLOB, payload BLOB
);
"""


class SpoolFile:
    """One source's open spool: a connection per thread, the owner's lock held until `close`."""

    def __init__(self, directory: Path, source_id: str) -> None:
        self.path = directory / f"{source_id}.db"
        _make_private(directory)
        self._lock = _take_lock(directory / f"{source_id}.lock", source_id)
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self.set_aside: Path | None = None
        """Where a corrupt file was moved to, when this opening found one."""
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def connection(self) -> sqlite3.Connection:
        """Give this thread its connection, in autocommit: transactions are begun explicitly."""
        found = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = _connect(self.path)
            with self._guard:
                self._open.append(found)
        return found

    def close(self) -> None:
        """Close every connection and give the lock back."""
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _prepare(self) -> None:
        try:
            self._check()
        except (sqlite3.DatabaseError, SpoolCorrupt):
            self.set_aside = self._move_aside()
        connection = self.connection()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise SpoolError(
                f"{self.path} has schema {version}, this version knows {SCHEMA_VERSION}: "
                "run the newer version, or move the file aside and use `wildfire-ingest recover`"
            )
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
            )

    def _check(self) -> None:
        """Raises where the file is no spool."""
        if self.path.is_symlink():
            raise SpoolError(f"{self.path} is a symbolic link; the spool must be a plain file")
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            return
        result = self.connection().execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise SpoolCorrupt(f"{self.path}: {result}")

    def _move_aside(self) -> Path:
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()
        n = 1
        while (target := self.path.with_suffix(f".corrupt-{n}")).exists():
            n += 1
        self.path.rename(target)
        for suffix in ("-wal", "-shm"):
            side = self.path.with_name(self.path.name + suffix)
            if side.exists():
                side.rename(target.with_name(target.name + suffix))
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return target


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    # Loads are large: at 4 KiB a page, writing one costs twice the CPU.  Only a new file obeys.
    connection.execute("PRAGMA page_size=32768")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=256")
    connection.execute("PRAGMA cache_size=-8192")
    return connection


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        found = "is a file" if directory.is_file() else f"cannot be made ({error.strerror})"
        raise SpoolError(
            f"state_dir {directory} {found}; expected a folder: give state_dir another place"
        ) from None
    status = directory.lstat()
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid():
        raise SpoolError(
            f"{directory} is a symbolic link or belongs to user {status.st_uid}; expected a folder "
            f"of user {os.geteuid()}: give state_dir another place"
        )
    directory.chmod(0o700)


def _take_lock(path: Path, source_id: str) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if not _is_taken(descriptor):
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise SpoolBusy(
            f"source {source_id} is already running here (process {owner or 'unknown'})"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _is_taken(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    for tries_left in reversed(range(_LOCK_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if tries_left:
                _wait(_LOCK_WAIT_S)
        else:
            return True
    return False


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
