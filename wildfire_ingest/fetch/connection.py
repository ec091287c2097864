"""Connections that cannot outlive their deadline and cannot be led to another machine.

A socket's own time-out starts anew with every byte, so a server that drips one byte a second
holds a reader for ever; here a watch shuts the connection down from outside.  A name is
resolved once, its addresses are checked, and the connection goes to a checked one.  Seconds.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

STOP_CHECK_S = 0.1
"""How soon a set stop event ends a request that is under way."""


class AddressRefused(Exception):
    """The host resolves to an address that must not be reached from here."""


class LookupFailed(Exception):
    """The host has no address, or its name server did not answer in time."""


class Watch:
    """Ends one exchange after `left_s`, or when `stop` is set; a context manager."""

    def __init__(self, left_s: float, stop: threading.Event | None) -> None:
        self.ended: Literal["", "deadline", "stopped"] = ""
        self._left_s = left_s
        self._stop = stop
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._at_end: list[Callable[[], None]] = []
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="fetch-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        for line in self._lines:
            line.close()

    def at_end(self, action: Callable[[], None]) -> None:
        """Run `action` when the time is over; at once where it is over already."""
        with self._lock:
            self._at_end.append(action)
            over = bool(self.ended)
        if over:
            action()

    def hold(self, connected: socket.socket) -> None:
        """Shut this connection down when the time is over."""
        # A duplicate: TLS detaches the original, and http.client closes it while we still read.
        line = socket.socket(fileno=os.dup(connected.fileno()))
        self._lines.append(line)
        self.at_end(lambda: _shut_down(line))

    def _run(self) -> None:
        # Counted in waits, not read from a clock: this must hold whatever the clock is.
        steps = math.ceil(self._left_s / STOP_CHECK_S) if self._stop is not None else 1
        for _ in range(max(1, steps)):
            if self._done.wait(self._left_s / max(1, steps)):
                return
            if self._stop is not None and self._stop.is_set():
                self._end("stopped")
                return
        self._end("deadline")

    def _end(self, how: Literal["deadline", "stopped"]) -> None:
        with self._lock:
            self.ended = how
            actions = tuple(self._at_end)
        for action in actions:
            action()


def _shut_down(line: socket.socket) -> None:
    with suppress(OSError):  # not connected yet, or no longer
        line.shutdown(socket.SHUT_RDWR)


class Guard:
    """Dials for one client's connections, under the watch of the calling thread."""

    def __init__(self, may_connect: Callable[[str], bool]) -> None:
        self._may_connect = may_connect
        self._of_thread = threading.local()

    def under(self, watch: Watch) -> None:
        """From now on this thread's connections belong to `watch`."""
        self._of_thread.watch = watch

    def hold(self, connected: socket.socket) -> None:
        """A connection is used, anew or again."""
        watch: Watch = self._of_thread.watch
        watch.hold(connected)

    def dial(self, host: str, port: int, connect_s: float | None) -> socket.socket:
        """A connection to one of `host`'s addresses.

        Raises AddressRefused, LookupFailed, OSError.
        """
        watch: Watch = self._of_thread.watch
        found = _look_up(host, port, watch)
        for *_, address in found:
            if not self._may_connect(str(address[0])):
                raise AddressRefused(f"{host} resolves to {address[0]}")
        last: OSError = ConnectionError(f"no address of {host} could be reached")
        for family, kind, protocol, _, address in found:
            if watch.ended:
                break
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(connect_s)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                watch.hold(sock)
                sock.connect(address)
            except OSError as error:
                sock.close()
                last = error
            else:
                return sock
        raise last


def _look_up(host: str, port: int, watch: Watch) -> list[tuple[Any, ...]]:
    """The resolver (getaddrinfo) knows no time-out: it runs aside, the watch ends the wait."""
    ready = threading.Event()
    found: list[tuple[Any, ...]] = []

    def look() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        ready.set()

    watch.at_end(ready.set)
    threading.Thread(target=look, name="fetch-lookup", daemon=True).start()
    ready.wait()
    addresses = list(found)
    if not addresses:
        raise LookupFailed(host)
    return addresses


def guarded_adapter(guard: Guard) -> HTTPAdapter:
    """An adapter of `requests` whose every connection is dialled by `guard`."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return guard.dial(self._dns_host, self.port, _seconds(self.timeout))

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:
                guard.hold(self.sock)
            super().request(*args, **kwargs)

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return guard.dial(self._dns_host, self.port, _seconds(self.timeout))

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:
                guard.hold(self.sock)
            super().request(*args, **kwargs)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            pools: PoolManager = self.poolmanager
            pools.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    return Adapter(max_retries=0)


def _seconds(timeout: Any) -> float | None:
    return float(timeout) if isinstance(timeout, int | float) else None
