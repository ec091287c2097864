"""Recorded answers, served again as a sequence of polls.

Every data request (any path of the API or of a static file) gets the next recorded answer, in the
order of the files' names (a .txt is an error answer, status 400); with `advances="on_command"` it
stays until POST /_simulator/next.  Recordings of FIRMS are .csv, those of the NWS .json, either
also as .gz.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from wildfire_ingest.simulator.firms_truth import Truth
from wildfire_ingest.simulator.nws_truth import NwsTruths, Stream
from wildfire_ingest.simulator.nws_wire import GEOJSON
from wildfire_ingest.simulator.server import Reply, json_reply

Advances = Literal["on_poll", "on_command"]
AtEnd = Literal["repeat", "not_found"]

Api = Literal["firms", "nws"]

SUFFIXES: dict[Api, tuple[str, ...]] = {
    "firms": (".csv", ".csv.gz", ".txt"),
    "nws": (".json", ".json.gz", ".txt"),
}
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_DATA_PATHS: dict[Api, tuple[str, ...]] = {
    "firms": ("/api/area/", "/api/country/", "/data/active_fire/"),
    "nws": ("/alerts", "/stations/", "/zones/forecast/"),
}
_HEADERS: dict[Api, dict[str, str]] = {"firms": {}, "nws": {"Content-Type": GEOJSON}}


class ReplaySite:
    """A folder, or a list of files, as an API.  Raises ValueError where there is nothing in it."""

    def __init__(
        self,
        recordings: Path | Iterable[Path],
        *,
        advances: Advances = "on_poll",
        at_end: AtEnd = "repeat",
        counts_rows: bool = True,
        api: Api = "firms",
    ) -> None:
        """`counts_rows=False` spares 10 us a row where only speed is asked (no truth then)."""
        self._files = recorded_files(recordings, SUFFIXES[api])
        self._api: Api = api
        self._advances = advances
        self._at_end = at_end
        self._counts_rows = counts_rows
        self._lock = threading.Lock()
        self._position = 0
        self._polls_after_end = 0
        self._truth = Truth()
        self._nws_truths = NwsTruths()

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:  # noqa: ARG002 - the protocol's
        if not path.startswith(_DATA_PATHS[self._api]):
            return Reply(b"Invalid API call.\n", 400)
        with self._lock:
            position = self._position
            self._polls_after_end += position == len(self._files)
        if position == len(self._files) and self._at_end == "not_found":
            return Reply(b"end of replay\n", 404)
        file = self._files[min(position, len(self._files) - 1)]
        body = read_recording(file)
        if file.suffix == ".txt":
            return Reply(body, 400, is_data=True, on_sent=lambda: self._sent(position))
        headers = _HEADERS[self._api]

        def sent() -> None:
            if self._counts_rows:
                self._note(path, body)
            self._sent(position)

        return Reply(body, headers=headers, is_data=True, on_sent=sent)

    def _note(self, path: str, body: bytes) -> None:
        if self._api == "firms":
            self._truth.note(body)
        else:
            stream: Stream = "alerts" if path.startswith("/alerts") else "observations"
            self._nws_truths[stream].note(body)

    def _sent(self, position: int) -> None:
        """Only an answer that went out whole moves the replay on: none is lost to a fault."""
        with self._lock:
            if self._advances == "on_poll" and self._position == position:
                self._position = min(position + 1, len(self._files))

    def advance(self) -> int:
        """On to the next recording; returns the new position."""
        with self._lock:
            self._position = min(self._position + 1, len(self._files))
            return self._position

    def control(self, command: str, body: bytes) -> Reply | None:  # noqa: ARG002 - the protocol's
        return json_reply({"position": self.advance()}) if command == "next" else None

    @property
    def is_at_end(self) -> bool:
        """Every recording has been served."""
        return self._position >= len(self._files)

    def state(self) -> dict[str, Any]:
        return {
            **self._counted(),
            "position": self._position,
            "recordings": len(self._files),
            "at_end": self.is_at_end,
            "polls_after_end": self._polls_after_end,
        }

    def _counted(self) -> dict[str, Any]:
        if self._api == "nws":
            return self._nws_truths.state()
        counts = self._truth.counts
        return {**asdict(counts), "expected_records": counts.expected_records}


def recorded_files(
    recordings: Path | Iterable[Path], suffixes: tuple[str, ...] = SUFFIXES["firms"]
) -> tuple[Path, ...]:
    """The recordings by name; a folder gives its files with these endings."""
    if isinstance(recordings, Path):
        files = sorted(
            (path for path in recordings.iterdir() if path.name.endswith(suffixes)),
            key=lambda path: path.name,
        )
    else:
        files = list(recordings)
    if not files:
        raise ValueError(
            f"nothing to replay in {recordings}: expected files that end in {', '.join(suffixes)}"
        )
    return tuple(files)


def read_recording(file: Path) -> bytes:
    """One recorded answer, unpacked."""
    if not file.name.endswith(".gz"):
        return file.read_bytes()
    with gzip.open(file) as stream:
        body = stream.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise ValueError(f"{file.name} unpacks to more than {MAX_ANSWER_BYTES:,} bytes")
    return body
