"""How a simulated API is spoken to: HTTP/1.1 on 127.0.0.1, with faults on purpose.

A site answers requests; this server puts the answers on the wire and spoils those that the fault
plan names.  Control paths begin with /_simulator/ and are never spoiled:
GET state, POST faults, and whatever more a site has (POST next, of a replay).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import msgspec

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.simulator.faults import OTHER_ANSWERS, Fault, FaultPlan, faults_from_json

CONTROL = "/_simulator/"
TEXT = "text/plain;charset=UTF-8"
MAX_CONTROL_BYTES = 1_048_576
PAGE = b"<!DOCTYPE html><html><body><h1>Access Denied</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a site answers."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_data: bool = False
    """Counts as a poll: faults may strike it."""
    on_sent: Callable[[], None] | None = None
    """Called before the last byte of an unspoilt answer: whoever has all of it finds it counted."""


class Site(Protocol):
    """A simulated API."""

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        """One GET; `path` with its query, header names in lower case."""
        ...

    def control(self, command: str, body: bytes) -> Reply | None:
        """A POST to /_simulator/<command>; None where there is no such command."""
        ...

    def state(self) -> dict[str, Any]:
        """The truth about what was served, as JSON values."""
        ...


class SimulatorServer:
    """A site on a free port of 127.0.0.1, from start() to stop()."""

    def __init__(
        self,
        site: Site,
        *,
        port: int = 0,
        faults: FaultPlan | None = None,
        now_us: Callable[[], int] | None = None,
    ) -> None:
        self.site = site
        self.faults = faults or FaultPlan()
        self.now_us = now_us or SystemClock().now_us
        self.stopping = threading.Event()
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        if self._server is None:
            raise RuntimeError("the simulator is not started: call start() first")
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> str:
        """Listen; returns the base_url for a source.  After a stop() the port is the same."""
        self.stopping.clear()
        self._server = _Server(self, self._port)
        self._port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="simulator", daemon=True
        )
        self._thread.start()
        return self.base_url

    def stop(self) -> None:
        """Close the port and every connection, also one that an answer is dripping into."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._thread.join(timeout=10)
        self._server = self._thread = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def state(self) -> dict[str, Any]:
        """What GET /_simulator/state answers."""
        return {**self.site.state(), "faults_struck": self.faults.struck()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, owner: SimulatorServer, port: int) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Conversation)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


class _Conversation(BaseHTTPRequestHandler):
    """One connection; keep-alive."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: paths hold keys."""

    def version_string(self) -> str:
        return "wildfire-simulator"

    def do_GET(self) -> None:
        owner = self.server.owner
        if self.path == f"{CONTROL}state":
            self._send(json_reply(owner.state()))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = owner.site.answer(self.path, headers, owner.now_us())
        fault = owner.faults.next_fault() if reply.is_data else None
        if fault is None:
            self._send(reply)
        else:
            self._spoil(reply, fault)

    def do_POST(self) -> None:
        owner = self.server.owner
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_CONTROL_BYTES:
            self.close_connection = True
            self._send(Reply(b"the body is too long or has no length\n", 413))
            return
        body = self.rfile.read(int(length))
        command = self.path.removeprefix(CONTROL) if self.path.startswith(CONTROL) else ""
        if command == "faults":
            self._send(self._set_faults(body))
            return
        self._send(owner.site.control(command, body) or Reply(b"no such command\n", 404))

    def _set_faults(self, body: bytes) -> Reply:
        try:
            faults = faults_from_json(body)
        except msgspec.DecodeError as error:
            return Reply(f"{error}\n".encode(), 400)
        self.server.owner.faults.replace(faults)
        return json_reply({"faults": len(faults)})

    def _send(self, reply: Reply) -> None:
        self._head(reply, len(reply.body))
        self.wfile.write(reply.body[:-1])
        self._finish(reply)

    def _finish(self, reply: Reply) -> None:
        if reply.on_sent is not None:
            reply.on_sent()
        self.wfile.write(reply.body[-1:])

    def _head(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": TEXT, **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 304:  # noqa: PLR2004 - Not Modified has no body
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _spoil(self, reply: Reply, fault: Fault) -> None:
        match fault.kind:
            case "truncated":
                self._cut(reply, fault.share)
            case "slow_drip":
                self._drip(reply, fault.bytes_per_s)
            case "disconnect":
                self.close_connection = True
            case _:
                self._send(spoilt(reply, fault, self.server.owner.now_us()))

    def _cut(self, reply: Reply, share: float) -> None:
        self._head(reply, len(reply.body))
        self.wfile.write(reply.body[: min(int(len(reply.body) * share), len(reply.body) - 1)])
        self.close_connection = True

    def _drip(self, reply: Reply, bytes_per_s: int) -> None:
        """Ten pieces a second, until the client or the server has had enough."""
        self._head(reply, len(reply.body))
        piece = max(1, bytes_per_s // 10)
        for start in range(0, len(reply.body) - 1, piece):
            self.wfile.write(reply.body[start : min(start + piece, len(reply.body) - 1)])
            if self.server.owner.stopping.wait(piece / bytes_per_s):
                self.close_connection = True
                return
        self._finish(reply)


def spoilt(reply: Reply, fault: Fault, now_us: int) -> Reply:
    """The answer that a fault puts in the place of the true one."""
    match fault.kind:
        case "too_many_requests":
            after = str(fault.retry_after_s)
            if fault.as_date:
                after = formatdate(now_us / SECOND_US + fault.retry_after_s, usegmt=True)
            return Reply(b"Too many requests.\n", 429, {"Retry-After": after})
        case "server_error":
            return Reply(b"Internal error.\n", fault.status)
        case "html":
            return Reply(PAGE, 200, {"Content-Type": "text/html"})
        case "header_only":
            first_line, newline, _ = reply.body.partition(b"\n")
            return Reply(first_line + newline if newline else b"")  # JSON has no header line
        case kind:
            return Reply(*OTHER_ANSWERS[kind])


def json_reply(value: object) -> Reply:
    """A JSON document."""
    return Reply(msgspec.json.encode(value), headers={"Content-Type": "application/json"})
