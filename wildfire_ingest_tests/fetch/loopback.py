"""A scriptable HTTP server on loopback, and a clock that is told the time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Script = Callable[[socket.socket, str], None]


class ToldClock:
    """Waiting is at once: it moves the time."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000
        self.waits: list[float] = []
        self.stop_while_waiting = False

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.us += round(seconds * 1e6)
        return self.stop_while_waiting or event.is_set()


def reply(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "Connection: close", "", ""]).encode() + body


class Server:
    """Answers each connection's first request by the next script; the last one repeats."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.scripts: list[bytes | Script] = []
        self.over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def answers(self, *scripts: bytes | Script) -> None:
        self.scripts = list(scripts)

    def close(self) -> None:
        self.over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in (self._accepting, *self._threads):
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(5)
            text = b""
            while b"\r\n\r\n" not in text:
                part = line.recv(65536)
                if not part:
                    return
                text += part
            self.requests.append(text.decode("latin-1"))
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            if isinstance(script, bytes):
                line.sendall(script)
            else:
                script(line, self.requests[-1])
