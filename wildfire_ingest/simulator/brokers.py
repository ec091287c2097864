"""Which broker a demo or a test talks to, behind one small interface."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from wildfire_ingest.simulator import brokers_kafka, brokers_noida
from wildfire_ingest.simulator.brokers_kafka import ApacheKafka
from wildfire_ingest.simulator.brokers_noida import NoidaDb
from wildfire_ingest.simulator.brokers_process import BrokerNotStarted

__all__ = ["ApacheKafka", "Broker", "BrokerNotStarted", "External", "NoidaDb", "broker_named"]

EMBEDDED, KAFKA = "embedded", "kafka"


class Broker(Protocol):
    """A broker that can be started and, for fault tests, hurt."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged records survive a kill: False must be said on the screen."""
        ...

    @property
    def bootstrap(self) -> str:
        """`host:port`, also before start()."""
        ...

    def start(self) -> str:
        """Start or restart on the same port and data; `host:port`, or BrokerNotStarted."""
        ...

    def stop(self) -> None:
        """End it in good order; harmless when it does not run."""
        ...

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        ...

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        ...

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        ...


class External:
    """The user's own cluster: nothing is started, nothing is stopped."""

    is_durable = True

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = f"the cluster at {bootstrap}"

    def start(self) -> str:
        return self.bootstrap

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        raise BrokerNotStarted(f"{self.name} is not ours to kill")

    def pause(self) -> None:
        raise BrokerNotStarted(f"{self.name} is not ours to pause")

    def resume(self) -> None:
        raise BrokerNotStarted(f"{self.name} is not ours to resume")


def broker_named(choice: str, directory: Path) -> Broker:
    """`embedded`, `kafka`, or `host:port[,host:port]` of a cluster that runs already."""
    if choice == EMBEDDED:
        return NoidaDb(directory)
    if choice == KAFKA:
        return ApacheKafka(directory)
    if ":" in choice:
        return External(choice)
    raise BrokerNotStarted(
        f"no broker is called {choice!r}: use {EMBEDDED}, {KAFKA}, or host:port of your own"
    )


def missing_requirements(choice: str) -> str | None:
    """What this machine lacks for that broker and what to do; None when nothing."""
    if choice == EMBEDDED:
        return brokers_noida.missing_requirements()
    if choice == KAFKA:
        return brokers_kafka.missing_requirements()
    return None
