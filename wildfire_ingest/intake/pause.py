"""A source that a person paused: a mark beside its spool, which every mode looks at.

The mark is a small file, so that it outlives every process and needs no lock: whoever runs the
source stops polling and drains when it appears, and nobody starts the source while it is there.
Times: integer microseconds.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

MAX_MARK_BYTES = 4096
LAST_MOMENT_US = 253_402_300_799_000_000
"""The end of the year 9999: a mark that was edited by hand may say anything."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when, and why, in the words of whoever did it."""

    since_us: Annotated[int, Meta(ge=0, le=LAST_MOMENT_US)]
    reason: str = ""


def pause(directory: Path, source_id: str, reason: str, now_us: int) -> Pause:
    """Pause the source; one that is paused already stays as it is."""
    found = paused(directory, source_id)
    if found is not None:
        return found
    mark = Pause(now_us, reason)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = directory / f".{source_id}.paused.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
        file.write(msgspec.json.encode(mark))
    draft.rename(_path(directory, source_id))
    return mark


def resume(directory: Path, source_id: str) -> bool:
    """Let it run again; False where it was not paused."""
    try:
        _path(directory, source_id).unlink()
    except FileNotFoundError:
        return False
    return True


def paused(directory: Path, source_id: str) -> Pause | None:
    """The pause of the source; a mark that cannot be read is one all the same."""
    try:
        descriptor = os.open(_path(directory, source_id), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        return Pause(0)
    with os.fdopen(descriptor, "rb") as file, suppress(msgspec.MsgspecError, OSError):
        return msgspec.json.decode(file.read(MAX_MARK_BYTES), type=Pause)
    return Pause(0)


def _path(directory: Path, source_id: str) -> Path:
    return directory / f"{source_id}.paused"
