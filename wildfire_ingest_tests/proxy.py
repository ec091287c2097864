"""A TCP proxy in front of a Kafka broker that misbehaves on request.

It changes no byte.  The broker must advertise the proxy's port to the proxy's clients
(ApacheKafka(advertised_port=...)).  Requests are recognised by Kafka's framing: int32 length, int16
api_key, int16 api_version, int32 correlation_id; a response is int32 length, int32 correlation_id
(kafka.apache.org/protocol, read 2026-11).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

LOOPBACK = "127.0.0.1"
PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, END_TXN = 22, 24, 26
_LENGTH_BYTES = 4
_ANSWER_S = 10.0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)

Action = Literal["hold", "drop_response", "reset"]


class Request(NamedTuple):
    """One request that a client sent, forwarded or not."""

    api_key: int
    api_version: int
    correlation_id: int


@dataclass(eq=False)
class Fault:
    """What happens to the next `times` requests of one kind."""

    action: Action
    api_key: int
    times: int = 1
    hold_s: float | None = None
    """None: until release()."""
    cut_client: bool = False
    """A held request's client loses its connection at once; the request still arrives, late."""
    happened: threading.Event = field(default_factory=threading.Event)
    """Set when the fault took hold of its first request."""
    answered: threading.Event = field(default_factory=threading.Event)
    """Set when the broker has answered a held request: it has acted on it."""
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let a held request go on now."""
        self._released.set()

    def wait_out(self) -> None:
        self._released.wait(self.hold_s)


class FaultProxy:
    """Listens on `port` (0: any) of the loopback and forwards to `upstream_port`."""

    def __init__(self, upstream_port: int, *, port: int = 0) -> None:
        self._upstream_port = upstream_port
        self.port = port
        self.requests: list[Request] = []
        self.delay_s = 0.0
        """Each request waits this long before it is passed on."""
        self.cut_after_bytes: int | None = None
        """Each connection ends after so many bytes from the client; the rest is lost."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._connections: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._acceptor: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Accept connections; also the end of refuse()."""
        listener = socket.create_server((LOOPBACK, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._acceptor = self._run(self._accept, listener)

    def refuse(self) -> None:
        """Refuse new connections until start(); those that are open go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        # It may be about to add a connection that it has accepted.
        if self._acceptor is not None:
            self._acceptor.join(10)

    def stop(self) -> None:
        """End every connection and thread."""
        self._stopping.set()
        self.refuse()
        with self._lock:
            faults, connections = list(self._faults), list(self._connections)
        for fault in faults:
            fault.release()
        for connection in connections:
            connection.close()
        for thread in list(self._threads):
            thread.join(10)

    def cut(self) -> None:
        """End all open connections with RST; new ones are accepted."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.reset()

    def hold(
        self,
        api_key: int,
        *,
        hold_s: float | None = None,
        cut_client: bool = False,
        times: int = 1,
    ) -> Fault:
        """Keep the next request of this kind back for `hold_s` s, or until Fault.release()."""
        return self._add(Fault("hold", api_key, times, hold_s, cut_client))

    def drop_response(self, api_key: int, *, times: int = 1) -> Fault:
        """Let the broker act, but never answer: the connection ends instead of the response."""
        return self._add(Fault("drop_response", api_key, times))

    def reset(self, api_key: int, *, times: int = 1) -> Fault:
        """Answer the next request of this kind with RST; the broker never sees it."""
        return self._add(Fault("reset", api_key, times))

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def fault_of(self, request: Request) -> Fault | None:
        """Note the request; the fault that it meets, which is used up by that."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.api_key == request.api_key and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def _run(self, target, *arguments) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="fault-proxy")
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                client, _address = listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection((LOOPBACK, self._upstream_port), timeout=10)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            connection = _Connection(self, client, broker)
            with self._lock:
                self._connections.add(connection)
            self._run(connection.forward_requests)
            self._run(connection.forward_responses)

    def forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)


class _Connection:
    """One client's connection and its twin to the broker, a thread for each direction."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, broker: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._sent_bytes = 0
        self._is_reset = False
        """Whoever ends the client's side after a reset must not send FIN before the RST."""
        self._unanswered: set[int] = set()
        """Correlation ids whose response is to be dropped."""
        self._held: dict[int, Fault] = {}
        """By correlation id: requests that have been held and are now on their way."""

    def forward_requests(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _read_frame(self._client)) is not None:
                request = Request(*struct.unpack_from(">hhi", frame, _LENGTH_BYTES))
                if self._proxy.delay_s:
                    threading.Event().wait(self._proxy.delay_s)
                if not self._pass_on(frame, request, self._proxy.fault_of(request)):
                    break
        self.close()
        self._proxy.forget(self)

    def _pass_on(self, frame: bytes, request: Request, fault: Fault | None) -> bool:
        """False: this connection is over."""
        if fault is not None:
            fault.happened.set()
        if fault is None:
            return self._send(frame)
        if fault.action == "reset":
            self.reset()
            return False
        if fault.action == "drop_response":
            self._unanswered.add(request.correlation_id)
            return self._send(frame)
        if fault.cut_client:
            self._reset_client()
        fault.wait_out()
        self._held[request.correlation_id] = fault
        is_open = self._send(frame)
        if fault.cut_client:
            # Nobody else ends this connection, and ending it now could take the request back.
            fault.answered.wait(_ANSWER_S)
        return is_open and not fault.cut_client

    def _send(self, frame: bytes) -> bool:
        limit = self._proxy.cut_after_bytes
        room = len(frame) if limit is None else max(0, limit - self._sent_bytes)
        self._broker.sendall(frame[:room])
        self._sent_bytes += min(room, len(frame))
        return room >= len(frame)

    def forward_responses(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _read_frame(self._broker)) is not None:
                (correlation_id,) = struct.unpack_from(">i", frame, _LENGTH_BYTES)
                if (held := self._held.pop(correlation_id, None)) is not None:
                    held.answered.set()
                if correlation_id in self._unanswered:
                    self.reset()
                    return
                with contextlib.suppress(OSError):
                    self._client.sendall(frame)
        self._end_client()

    def close(self) -> None:
        self._end_client()
        _shutdown(self._broker)

    def reset(self) -> None:
        self._reset_client()
        _shutdown(self._broker)

    def _end_client(self) -> None:
        if not self._is_reset:
            _shutdown(self._client)

    def _reset_client(self) -> None:
        self._is_reset = True
        _reset(self._client)


def _read_frame(source: socket.socket) -> bytes | None:
    """One whole frame with its length; None at the end of the stream."""
    head = _read_exactly(source, _LENGTH_BYTES)
    if head is None:
        return None
    (length,) = struct.unpack(">i", head)
    body = _read_exactly(source, length)
    return None if body is None else head + body


def _read_exactly(source: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = source.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _shutdown(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _reset(end: socket.socket) -> None:
    """Close with RST instead of FIN."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    # A thread blocked in recv() holds the socket open: shut the reading half down first.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()
