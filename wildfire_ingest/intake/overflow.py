"""Keeps what the spool had to give up: an append-only archive that survives power loss.

An entry is on the disk, fsynced and checksummed, when `append` returns; otherwise it raises
OSError and the caller must keep the load (block) instead of dropping it.  Each writer begins a
new file, so a tail that a crash has torn never hides what is written later.

    file  = entry*          <source_id>.<number>.overflow, 0600, directory 0700
    entry = magic, u32 meta bytes, u64 ids bytes, u64 payload bytes, sha256 of all the rest,
            meta (JSON), ids, payload                       (big endian)
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from wildfire_ingest.record import Lane, Load

_MAGIC = b"WFO1"
_LENGTHS = struct.Struct(">IQQ")
_DIGEST_BYTES = hashlib.sha256().digest_size
_HEAD_BYTES = len(_MAGIC) + _LENGTHS.size + _DIGEST_BYTES
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_FILE = re.compile(rf"(?P<source>{_SOURCE.pattern})\.(?P<number>\d{{6,}})\.overflow")


class Archived(msgspec.Struct, frozen=True):
    """A load as it was archived; `overflow replay` puts it back."""

    source_id: str
    load: Load
    ids: bytes
    payload: bytes
    reason: str
    archived_at_us: int


class Damaged(msgspec.Struct, frozen=True):
    """A file that cannot be read further: its tail was torn by a crash, or it was altered."""

    path: Path
    offset: int
    """The file is whole before it."""
    lost_bytes: int
    reason: str


class _Meta(msgspec.Struct, frozen=True):
    source_id: str
    lane: str
    seq: int
    records: int
    n_bytes: int
    topics: tuple[str, ...]
    created_at_us: int
    dead: int
    reason: str
    archived_at_us: int


class OverflowArchive:
    """The archive below one directory; one writer per source, the owner of its spool."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._paths: dict[str, Path] = {}

    def append(
        self,
        source_id: str,
        load: Load,
        *,
        ids: bytes,
        payload: bytes,
        reason: str,
        now_us: int,
    ) -> None:
        """Archive one load durably.  Raises OSError where that is not possible: keep the load."""
        entry = _encoded(_meta(source_id, load, reason, now_us), ids, payload)
        folder = _open_private(self._directory)
        try:
            name = self._paths.get(source_id)
            if name is None:
                self._paths[source_id] = _write_new(folder, self._directory, source_id, entry)
            else:
                _write_more(folder, name, entry)
        except OSError:
            self._paths.pop(source_id, None)  # what was written may be torn: begin a new file
            raise
        finally:
            os.close(folder)

    def read(self) -> Iterator[Archived | Damaged]:
        """Every entry, source by source in the order of writing; Damaged where a file breaks."""
        try:
            names = [path.name for path in self._directory.iterdir() if _FILE.fullmatch(path.name)]
        except FileNotFoundError:
            return
        for name in sorted(names, key=_place):
            yield from _entries(self._directory / name)


def _place(name: str) -> tuple[str, int]:
    source, number, _ = name.rsplit(".", 2)
    return source, int(number)


def _meta(source_id: str, load: Load, reason: str, now_us: int) -> _Meta:
    return _Meta(
        source_id=source_id,
        lane=load.lane.name,
        seq=load.seq,
        records=load.records,
        n_bytes=load.n_bytes,
        topics=load.topics,
        created_at_us=load.created_at_us,
        dead=load.dead,
        reason=reason,
        archived_at_us=now_us,
    )


def _archived(meta: _Meta, ids: bytes, payload: bytes) -> Archived:
    load = Load(
        lane=Lane[meta.lane],
        seq=meta.seq,
        records=meta.records,
        n_bytes=meta.n_bytes,
        topics=meta.topics,
        created_at_us=meta.created_at_us,
        dead=meta.dead,
    )
    return Archived(meta.source_id, load, ids, payload, meta.reason, meta.archived_at_us)


def _encoded(meta: _Meta, ids: bytes, payload: bytes) -> bytes:
    text = msgspec.json.encode(meta)
    lengths = _LENGTHS.pack(len(text), len(ids), len(payload))
    return b"".join((_MAGIC, lengths, _digest(lengths, text, ids, payload), text, ids, payload))


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _open_private(directory: Path) -> int:
    """The directory, made if need be, ours alone and no link; synced into its parent."""
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(directory.parent)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid():
            raise PermissionError(
                f"{directory} belongs to user {found.st_uid}, expected {os.geteuid()}: "
                "records are archived only in a folder of our own"
            )
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            os.fchmod(folder, 0o700)
    except OSError:
        os.close(folder)
        raise
    return folder


def _write_new(folder: int, directory: Path, source_id: str, entry: bytes) -> Path:
    if not _SOURCE.fullmatch(source_id):
        raise ValueError(
            f"source id {source_id!r} cannot name a file: expected letters, digits, '_', '-', '.'"
        )
    taken = [_place(name) for name in os.listdir(folder) if _FILE.fullmatch(name)]
    number = 1 + max((number for source, number in taken if source == source_id), default=0)
    name = f"{source_id}.{number:06d}.overflow"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        _write_whole(file, entry)
        os.fsync(folder)  # the file's name, without which its bytes are lost
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(file)
    return directory / name


def _write_more(folder: int, path: Path, entry: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path.name, flags, dir_fd=folder)
    whole_bytes = os.fstat(file).st_size
    try:
        _write_whole(file, entry)
    except OSError:
        os.ftruncate(file, whole_bytes)
        raise
    finally:
        os.close(file)


def _write_whole(file: int, entry: bytes) -> None:
    rest = memoryview(entry)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _sync_directory(directory: Path) -> None:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _entries(path: Path) -> Iterator[Archived | Damaged]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        while (at := stream.tell()) < size:
            try:
                entry = _next_entry(stream, size - at)
            except ValueError as broken:  # msgspec's errors are ValueErrors too
                yield Damaged(path, at, size - at, str(broken))
                return
            yield entry


def _next_entry(stream: BinaryIO, left_bytes: int) -> Archived:
    head = stream.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        raise ValueError(f"an entry begins and ends after {len(head)} bytes: torn by a crash")
    if not head.startswith(_MAGIC):
        raise ValueError("no entry begins here: the file was altered")
    lengths, digest = head[len(_MAGIC) : -_DIGEST_BYTES], head[-_DIGEST_BYTES:]
    sizes = _LENGTHS.unpack(lengths)
    if sum(sizes) > left_bytes - _HEAD_BYTES:
        raise ValueError(
            f"an entry of {_HEAD_BYTES + sum(sizes)} bytes has {left_bytes}: torn by a crash"
        )
    text, ids, payload = (stream.read(size) for size in sizes)
    if _digest(lengths, text, ids, payload) != digest:
        raise ValueError("an entry does not match its checksum: torn by a crash or altered")
    return _archived(msgspec.json.decode(text, type=_Meta), ids, payload)
