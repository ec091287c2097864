"""What a demo starts from: a fresh folder with its configuration, its Dagster home, its state.

Fresh at every start, so that the numbers on the screen are this demo's alone.  A lock keeps two
demos out of one folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from wildfire_ingest.errors import IngestError
from wildfire_ingest.simulator.demo_sources import SOURCES

FOLDER = Path(".wildfire") / "demo"
MAP_KEY = "demo"  # the simulator takes any key
READER_GROUP = "wildfire-demo"
KEPT_VARIABLE = "WILDFIRE_KAFKA_LIBS"
METRICS_EVERY_S = 10
"""A long run tells Dagster so often what it did."""
DAGSTER_SETTINGS: dict[str, Any] = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
    # A sensor that waits for its API holds up no other one.
    "sensors": {"use_threads": True, "num_workers": 4},
    "run_monitoring": {"enabled": True},
}


class DemoFailed(IngestError):
    """The demo cannot go on; the text says why and what to do."""


class DemoFolder:
    """The folder, ours until close()."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.path = folder.absolute()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.path.with_name(f"{self.path.name}.lock"))
        if self.path.exists():
            shutil.rmtree(self.path)
        self.dagster_home.mkdir(parents=True)
        (self.dagster_home / "dagster.yaml").write_text(yaml.safe_dump(DAGSTER_SETTINGS))

    @property
    def dagster_home(self) -> Path:
        return self.path / "dagster_home"

    @property
    def config_file(self) -> Path:
        return self.path / "stream_config.yaml"

    def write_config(self, bootstrap: str, servers: Mapping[str, str], suffix: str) -> None:
        """The configuration of this demo; `servers` says where each source's API is."""
        config = demo_config(bootstrap, servers, suffix)
        self.config_file.write_text(yaml.safe_dump(config, sort_keys=False))

    def environment(self) -> dict[str, str]:
        """Of every process of the demo: nothing of the user's own deployment reaches in."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("WILDFIRE_") or name == KEPT_VARIABLE
        }
        return {
            **kept,
            "DAGSTER_HOME": str(self.dagster_home),
            "WILDFIRE_CONFIG": str(self.config_file),
            "FIRMS_MAP_KEY": MAP_KEY,
        }

    def close(self) -> None:
        """Let another demo have it; what is in it stays for a look."""
        self._lock.close()


def _locked(path: Path) -> IO[bytes]:
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DemoFailed(
            f"another demo is running in {path.parent}: end it, or start this one elsewhere"
        ) from None
    return lock


def demo_config(bootstrap: str, servers: Mapping[str, str], suffix: str) -> dict[str, Any]:
    """stream_config.yaml of a demo, as data; `suffix` keeps its topics apart from other ones."""
    topics = list(dict.fromkeys(one.topic + suffix for one in SOURCES))
    return {
        "kafka": {
            "bootstrap_servers": bootstrap,
            "compression_type": "zstd",
            "dlq_topic": f"wildfire-dlq-failed-messages{suffix}",
            "offsets_topic": f"wildfire-ingest-offsets{suffix}",
        },
        "state_dir": "state",
        "metrics_interval_seconds": METRICS_EVERY_S,
        "throttling": {"consumer_groups": {topic: [READER_GROUP] for topic in topics}},
        "topics": {topic: {"partitions": 4, "compression_type": "zstd"} for topic in topics},
        "sources": {
            one.source_id: one.configuration(servers[one.source_id], suffix) for one in SOURCES
        },
    }
