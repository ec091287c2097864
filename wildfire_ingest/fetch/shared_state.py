"""The one SQLite file that all processes of a state_dir share: `limits.sqlite`.

Holds what the next attempt needs to know of everybody's earlier ones: paces, quotas, pauses,
circuits, and which cached answers were taken.  Names in it are hashed.  Losing it costs the
memory of one interval, nothing else, so nothing in it is synced.  Times: integer microseconds,
wall clock (the only one that processes share and a restart keeps).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wildfire_ingest.errors import SourceUnavailable

FILE_NAME = "limits.sqlite"
BUSY_TIMEOUT_S = 10.0
_RETRY_S = 0.05
_PRIVATE = 0o600
_PRIMARY_CODE = 0xFF
"""The low byte of an extended result code (sqlite.org/rescode.html)."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pace (name TEXT PRIMARY KEY, state_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (name TEXT NOT NULL, at_us INTEGER NOT NULL, units INTEGER);
CREATE INDEX IF NOT EXISTS spent_by_time ON spent (name, at_us);
CREATE TABLE IF NOT EXISTS paused (name TEXT PRIMARY KEY, since_us INTEGER NOT NULL,
  until_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS circuit (name TEXT PRIMARY KEY, failures INTEGER NOT NULL,
  open_until_us INTEGER NOT NULL, trial_until_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (name TEXT PRIMARY KEY, fetched_at_us INTEGER NOT NULL,
  validated_at_us INTEGER NOT NULL, taken INTEGER NOT NULL, settled INTEGER NOT NULL)
  WITHOUT ROWID;
"""


def hashed(kind: str, *parts: str) -> str:
    """A name that can be stored: equal parts give equal names and show nothing."""
    text = "\0".join((kind, *parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class SharedState:
    """One connection per process, used by one thread at a time."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it or nothing, one process at a time.

        Raises SourceUnavailable where the file cannot be used: without it nobody may be asked.
        """
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    yield connection
            except (sqlite3.Error, OSError) as error:
                raise SourceUnavailable(
                    f"nothing was asked: the shared limits in {self.path} cannot be used "
                    f"({type(error).__name__}: {error}); free the disk or the lock, or, where "
                    "the file is damaged, stop all sources and delete it"
                ) from None

    def close(self) -> None:
        """Close the connection; the next transaction opens it anew."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        # A connection must not cross a fork (sqlite.org/howtocorrupt.html, 2.6).
        if self._connection is None or self._pid != os.getpid():
            self._connection, self._pid = self._open(), os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        private_directory(self.path.parent)
        _private_file(self.path)
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            _switch_to_wal(connection)
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait here when several processes make the file at once: try again."""
    for left in reversed(range(int(BUSY_TIMEOUT_S / _RETRY_S) + 1)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY or not left:
                raise
            threading.Event().wait(_RETRY_S)
        else:
            return


def private_directory(directory: Path) -> None:
    """Make `directory`, for this user only, where it does not exist yet."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _private_file(path: Path) -> None:
    """Make the file, for this user only, and refuse one that is somebody else's.

    It is never opened here: closing any descriptor of it would drop the locks that SQLite holds
    on it in this process (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        _make_empty(path)
        found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{path} is not a file of this user")
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        path.chmod(_PRIVATE)


def _make_empty(path: Path) -> None:
    """Make the file unless another has; both are well."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return
    finally:
        fresh.unlink()
