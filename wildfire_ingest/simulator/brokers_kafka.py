"""Apache Kafka in KRaft mode as a child process: one durable node on free loopback ports.

Needs Java 17 or newer, and Maven for the first start only (it fetches the jars that pom.xml
names).  Sources: kafka.apache.org/44 "KRaft" and "Broker configs", read 2026-11.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from wildfire_ingest.simulator.brokers_process import (
    LOOPBACK,
    BrokerNotStarted,
    OwnBroker,
    free_ports,
)

LIBS_VARIABLE = "WILDFIRE_KAFKA_LIBS"
START_WAIT_S = 90.0
_FETCH_WAIT_S = 600.0
_FORMAT_WAIT_S = 60.0
_POM = Path(__file__).with_name("kafka") / "pom.xml"
_JVM = ("-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_LOG4J = """\
rootLogger.level = WARN
rootLogger.appenderRefs = out
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c %m%n
"""
# One node plays broker and controller; the replication factors follow from that.  Transaction and
# offset topics get four partitions for a quick first use.  The session time-out is short because
# a killed broker may register again only after its old registration has expired.
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "2097152",
}


def libs_folder() -> Path:
    """Where the jars are kept: WILDFIRE_KAFKA_LIBS, or `.kafka/libs` of the project."""
    named = os.environ.get(LIBS_VARIABLE)
    if named:
        return Path(named)
    project = Path(__file__).parents[2]
    root = project if (project / "pyproject.toml").is_file() else Path.cwd()
    return root / ".kafka" / "libs"


def missing_requirements() -> str | None:
    """What this machine lacks for Apache Kafka and what to do about it; None when nothing."""
    if shutil.which("java") is None:
        return "no `java` on the PATH: install a Java runtime, version 17 or newer"
    if not _has_jars(libs_folder()) and shutil.which("mvn") is None:
        return (
            f"no `mvn` on the PATH and no jars in {libs_folder()}: install Maven,"
            f" or set {LIBS_VARIABLE} to a folder with the jars of Apache Kafka 4.4.0"
        )
    return None


class ApacheKafka(OwnBroker):
    """Apache Kafka 4.4.0, its data in `directory`; a restart keeps ports and data.

    `advertised_port` adds a listener whose clients are told to connect to that port instead: a
    proxy there forwards to `behind_proxy_port`, and sees all the traffic of its clients.
    """

    name = "Apache Kafka 4.4.0"
    is_durable = True

    def __init__(
        self,
        directory: Path,
        *,
        advertised_port: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        port, self._controller_port, self.behind_proxy_port = free_ports(3)
        super().__init__(directory, port)
        self.advertised_port = advertised_port
        self._extra = dict(properties or {})

    def start(self) -> str:
        """Start, or start again after stop() or kill(); returns `host:port` when it answers."""
        if self.is_running:
            return self.bootstrap
        missing = missing_requirements()
        if missing:
            raise BrokerNotStarted(f"{self.name} cannot start: {missing}")
        libs = fetch_jars(libs_folder())
        self._prepare(libs)
        command = [*self._java(libs), "kafka.Kafka", str(self._directory / "server.properties")]
        return self._launch(command, wait_s=START_WAIT_S)

    def _java(self, libs: Path) -> list[str]:
        log4j = self._directory / "log4j2.properties"
        return ["java", *_JVM, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{libs}/*"]

    def _prepare(self, libs: Path) -> None:
        """Write the properties and, the first time, format the data folder."""
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "log4j2.properties").write_text(_LOG4J)
        properties = self._directory / "server.properties"
        lines = [f"{key}={value}\n" for key, value in self._properties().items()]
        properties.write_text("".join(lines))
        if (self._directory / "data" / "meta.properties").is_file():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*self._java(libs), "kafka.tools.StorageTool", "format"]
        # `=` because an id may begin with a dash.
        command += [f"--cluster-id={cluster}", "-c", str(properties)]
        _run(command, wait_s=_FORMAT_WAIT_S, purpose="format Kafka's data folder")

    def _properties(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self._port}
        advertised = dict(listeners)
        if self.advertised_port is not None:
            listeners["PROXIED"] = self.behind_proxy_port
            advertised["PROXIED"] = self.advertised_port
        listeners["CONTROLLER"] = self._controller_port
        return {
            **_PROPERTIES,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "listeners": _listeners(listeners),
            "advertised.listeners": _listeners(advertised),
            "log.dirs": str(self._directory / "data"),
            **self._extra,
        }


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())


def _has_jars(folder: Path) -> bool:
    return any(folder.glob("kafka_2.13-*.jar"))


def fetch_jars(folder: Path) -> Path:
    """Let Maven copy the jars into `folder` once; BrokerNotStarted when it cannot."""
    if _has_jars(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as partial:
        shutil.copy(_POM, partial)
        command = ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=libs"]
        _run(command, wait_s=_FETCH_WAIT_S, purpose="fetch Apache Kafka", cwd=Path(partial))
        try:
            (Path(partial) / "libs").rename(folder)
        except OSError:  # another process was quicker: its jars are the same
            if not _has_jars(folder):
                raise
    return folder


def _run(command: list[str], *, wait_s: float, purpose: str, cwd: Path | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603 - the command is ours, without a shell
            command, check=True, capture_output=True, text=True, timeout=wait_s, cwd=cwd
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerNotStarted(
            f"could not {purpose}: `{command[0]}` was not done after {wait_s:.0f} s"
        ) from error
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).strip()[-1200:]
        raise BrokerNotStarted(
            f"could not {purpose}: `{command[0]}` ended with {error.returncode}; it said: {said}\n"
            "Check that Java is 17 or newer and that Maven reaches a repository (offline?);"
            f" or set {LIBS_VARIABLE} to a folder that has the jars."
        ) from error
