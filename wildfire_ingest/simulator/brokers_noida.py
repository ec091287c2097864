"""noida-db as the embedded broker: a 12 MB process that speaks Kafka's protocol, for trying out.

It keeps everything in memory, loses about the last second when killed and forgets fencing on a
restart, so no claim of exactly-once rests on it.  Version 0.2.3, read 2026-11.
"""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path

from wildfire_ingest.simulator.brokers_process import (
    LOOPBACK,
    BrokerNotStarted,
    OwnBroker,
    free_ports,
)

START_WAIT_S = 30.0


def missing_requirements() -> str | None:
    """What this machine lacks for the embedded broker; None when nothing."""
    binary = _binary()
    if binary is None:
        return "the package noida-db is not installed: install wildfire-ingest[demo]"
    if not binary.is_file():
        return f"the package noida-db has no server for this platform (no file {binary.name})"
    return None


def _binary() -> Path | None:
    """The packaged server.  Not the console script: that one's death leaves the server behind."""
    spec = importlib.util.find_spec("noida_db")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("noida-db")


class NoidaDb(OwnBroker):
    """The embedded broker, its files in `directory`; a restart keeps the port."""

    name = "noida-db (embedded, not durable)"
    is_durable = False

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, *free_ports(1))

    def start(self) -> str:
        """Start, or start again after stop() or kill(); returns `host:port` when it answers."""
        if self.is_running:
            return self.bootstrap
        missing, binary = missing_requirements(), _binary()
        if missing or binary is None:
            raise BrokerNotStarted(f"the embedded broker cannot start: {missing}")
        _allow_to_run(binary)
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [str(binary), "start", "--only", "kafka", "--kafka-port", str(self._port)]
        command += ["--host", LOOPBACK, "--data-dir", str(self._directory / "data")]
        return self._launch(command, wait_s=START_WAIT_S)


def _allow_to_run(binary: Path) -> None:
    """Set the run bit, which some installers drop."""
    if os.access(binary, os.X_OK):
        return
    try:
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    except OSError as error:
        raise BrokerNotStarted(
            f"{binary} has no run bit and it cannot be set: {error}; run `chmod +x` on it"
        ) from error
