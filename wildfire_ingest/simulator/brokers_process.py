"""A server process that never outlives us: started, signalled, waited for.

Linux only for the tie to the parent: PR_SET_PDEATHSIG (prctl(2)) kills the child when the THREAD
that forked it ends, so every fork happens on one thread that lives as long as the interpreter.
Ports come from below the range of outgoing connections: a client cannot take a stopped server's.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from wildfire_ingest.errors import IngestError

LOOPBACK = "127.0.0.1"
STOP_WAIT_S = 10.0
_LOG_TAIL_BYTES = 1500
_LOWEST_PORT, _HIGHEST_PORT = 15_000, 29_999
# Runs in the child and then becomes the server: no code of ours between fork and exec, which a
# process with threads must not have.  1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
_TIE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""
_FORKS = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker-forks")


class BrokerNotStarted(IngestError):
    """A broker cannot be started here; the text says what is missing and what to do."""


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports on which nothing listens now."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randint(_LOWEST_PORT, _HIGHEST_PORT)  # noqa: S311 - a port is no secret
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class ServerProcess:
    """One child in a process group of its own; its output goes to `log`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._log = log
        forked = _FORKS.submit(self._fork, cwd, env, os.getpid())
        try:
            self._child = forked.result()
        except KeyboardInterrupt:  # while it forks: nobody else would know of the child
            self._child = forked.result()
            self.kill()
            raise

    def _fork(
        self, cwd: Path | None, env: Mapping[str, str] | None, parent: int
    ) -> subprocess.Popen[bytes]:
        tie = [sys.executable, "-I", "-S", "-c", _TIE, str(parent)]
        with self._log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the command is ours, without a shell
                [*(tie if sys.platform == "linux" else []), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else dict(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the whole process group; nothing happens when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    def stop(self, wait_s: float = STOP_WAIT_S) -> None:
        """End it: SIGTERM, and SIGKILL when it has not gone after `wait_s` seconds."""
        if self.is_running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(wait_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the group, as a power cut would."""
        self.signal(signal.SIGKILL)
        self._child.wait()

    def log_tail(self) -> str:
        """The end of what it wrote, for an error message."""
        with contextlib.suppress(OSError):
            return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        return ""


def wait_for_metadata(bootstrap: str, server: ServerProcess, *, wait_s: float) -> None:
    """Return when the broker answers metadata with itself in it; BrokerNotStarted otherwise."""
    deadline = time.monotonic() + wait_s
    # Reconnect quickly: librdkafka's default backs off to 10 s while the port is still closed.
    admin = AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )
    pause = threading.Event()
    while time.monotonic() < deadline:
        if not server.is_running:
            raise BrokerNotStarted(
                f"the broker ended while starting; it wrote: {server.log_tail()}"
            )
        with contextlib.suppress(KafkaException):
            if admin.list_topics(timeout=1.0).brokers:
                return
        pause.wait(0.05)
    raise BrokerNotStarted(
        f"the broker at {bootstrap} gave no metadata within {wait_s:.0f} s;"
        f" it wrote: {server.log_tail()}"
    )


class OwnBroker:
    """A broker that is a process of ours: what all of them share."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory.absolute()
        self._port = port
        self._server: ServerProcess | None = None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.is_running

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server is not None else None

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def pause(self) -> None:
        if self._server is not None:
            self._server.signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._server is not None:
            self._server.signal(signal.SIGCONT)

    def _launch(self, command: list[str], *, wait_s: float) -> str:
        """Start the process; `host:port` once it answers for its metadata."""
        log = self._directory / "broker.log"
        self._server = ServerProcess(command, log=log, cwd=self._directory)
        try:
            wait_for_metadata(self.bootstrap, self._server, wait_s=wait_s)
        except BaseException:
            self.kill()
            raise
        return self.bootstrap
