"""A load as bytes: the rows of one poll and one lane, packed once and sent as they are.

Pure.  Payload, version 1:  `WFL1` · u32 length · header JSON · u16 topic index a row · u16 type
index a row · u16 stem index a row, where the header has stems · u32 key length a row · u32 value
length a row · keys · values.  With stems a value is stored without its beginning, which is
`{"id":"`, the id's digits and the stem: half of a detection.  Ids blob: one ID_ROW a row.
Integers little-endian, but the id's two halves, which keep their byte order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.record import DeadLetter, Lane, Outgoing

MAGIC = b"WFL1"
ID_ROW = np.dtype(
    [
        ("hi", ">u8"),
        ("lo", ">u8"),
        ("hash", "<u8"),
        ("observed_s", "<i8"),
        ("revision", "<u4"),
        ("kind", "u1"),
    ]
)
RECORD, REJECT = 0, 1


class Header(msgspec.Struct, frozen=True):
    """What is said once for the whole load."""

    n: int
    topics: list[str]
    types: list[str]
    dead: dict[str, DeadLetter] = {}
    stems: list[str] = []


@dataclass(frozen=True, slots=True)
class Stems:
    """Values cut in two: what they share with others, and the rest."""

    stems: Sequence[bytes]
    index: npt.NDArray[np.uint16]
    """Each row's stem."""
    tails: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a load before they are packed; sequences in parallel."""

    topics: Sequence[str]
    types: Sequence[str]
    keys: Sequence[bytes]
    values: Sequence[bytes]
    ids: npt.NDArray[np.void]
    """Of dtype ID_ROW."""
    dead: Mapping[int, DeadLetter]
    cut: Stems | None = None
    """The same values, cut; only for rows whose value begins with `{"id":"` and their id."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Packed:
    """A load ready for the spool."""

    lane: Lane
    n: int
    dead: int
    topics: tuple[str, ...]
    newest_observed_s: int
    ids: bytes
    payload: bytes
    rows: Rows
    """The same, as it was before packing."""


def select(rows: Rows, places: Sequence[int]) -> Rows:
    """Some of the rows, in this order."""
    return Rows(
        topics=[rows.topics[n] for n in places],
        types=[rows.types[n] for n in places],
        keys=[rows.keys[n] for n in places],
        values=[rows.values[n] for n in places],
        ids=rows.ids[np.array(places, np.intp)],
        dead={new: rows.dead[old] for new, old in enumerate(places) if old in rows.dead},
    )


def pack(lane: Lane, rows: Rows) -> Packed:
    """Rows to bytes."""
    topics, topic_index = _index(rows.topics)
    types, type_index = _index(rows.types)
    cut = rows.cut
    values = rows.values if cut is None else cut.tails
    stems = [] if cut is None else [stem.decode() for stem in cut.stems]
    letters = {str(i): d for i, d in rows.dead.items()}
    header = msgspec.json.encode(Header(len(rows), list(topics), list(types), letters, stems))
    payload = b"".join(
        (
            MAGIC,
            len(header).to_bytes(4, "little"),
            header,
            topic_index,
            type_index,
            b"" if cut is None else cut.index.astype("<u2").tobytes(),
            _lengths(rows.keys),
            _lengths(values),
            *rows.keys,
            *values,
        )
    )
    newest = int(rows.ids["observed_s"].max()) if len(rows) else 0
    return Packed(
        lane, len(rows), len(rows.dead), topics, newest, rows.ids.tobytes(), payload, rows
    )


def outgoing(lane: Lane, seq: int, sha256: bytes, rows: Rows) -> Outgoing:
    """Rows that were just packed, as delivery sends them: no need to read them back."""
    types = {name: name.encode() for name in set(rows.types)}
    return Outgoing(
        lane=lane,
        seq=seq,
        sha256=sha256,
        topics=rows.topics,
        keys=rows.keys,
        values=rows.values,
        ids=id_headers(rows.ids),
        types=[types[name] for name in rows.types],
        observed_at_s=rows.ids["observed_s"].tolist(),
        dead=rows.dead,
    )


def unpack(lane: Lane, seq: int, sha256: bytes, ids: bytes, payload: bytes) -> Outgoing:
    """Bytes to what delivery sends.  Raises SpoolCorrupt where they are not a load."""
    if payload[:4] != MAGIC:
        raise SpoolCorrupt(
            f"load {lane.name} {seq} starts with {payload[:4]!r}, expected {MAGIC!r}"
        )
    start = 8 + int.from_bytes(payload[4:8], "little")
    header = msgspec.json.decode(payload[8:start], type=Header)
    n = header.n
    topic_index = np.frombuffer(payload, "<u2", n, start).tolist()
    type_index = np.frombuffer(payload, "<u2", n, start + 2 * n).tolist()
    start += 4 * n
    stem_index = np.frombuffer(payload, "<u2", n if header.stems else 0, start)
    start += stem_index.nbytes
    lengths = np.frombuffer(payload, "<u4", 2 * n, start)
    start += 8 * n
    edges = [start, *(np.cumsum(lengths, dtype=np.int64) + start).tolist()]
    parts = [payload[a:b] for a, b in pairwise(edges)]
    rows = np.frombuffer(ids, ID_ROW)
    id_texts = id_headers(rows)
    values = parts[n:]
    if header.stems:
        values = _whole([s.encode() for s in header.stems], stem_index.tolist(), id_texts, values)
    type_bytes = [name.encode() for name in header.types]
    return Outgoing(
        lane=lane,
        seq=seq,
        sha256=sha256,
        topics=[header.topics[i] for i in topic_index],
        keys=parts[:n],
        values=values,
        ids=id_texts,
        types=[type_bytes[i] for i in type_index],
        observed_at_s=rows["observed_s"].tolist(),
        dead={int(i): d for i, d in header.dead.items()},
    )


def readdress(load: Outgoing, letters: Mapping[int, DeadLetter], dlq_topic: str) -> Outgoing:
    """The same load with some rows addressed to the dead letter topic."""
    topics = list(load.topics)
    for row in letters:
        topics[row] = dlq_topic
    return replace(load, topics=topics, dead={**load.dead, **letters})


def id_headers(rows: npt.NDArray[np.void]) -> list[bytes]:
    """`<32 hex>.<revision>` of each row."""
    ids = np.empty((len(rows), 2), ">u8")
    ids[:, 0], ids[:, 1] = rows["hi"], rows["lo"]
    digits = ids.tobytes().hex().encode()
    suffixes = {revision: b".%d" % revision for revision in set(rows["revision"].tolist())}
    return [
        digits[start : start + 32] + suffixes[revision]
        for start, revision in zip(
            range(0, len(digits), 32), rows["revision"].tolist(), strict=True
        )
    ]


def digest_of(ids: bytes, payload: bytes) -> bytes:
    """SHA-256 of one load's bytes: checked whenever it is read back."""
    digest = hashlib.sha256(ids)
    digest.update(payload)
    return digest.digest()


def chain(previous: bytes, digest: bytes) -> bytes:
    """The lane's chain with one more load: two copies of a spool that went on alone differ."""
    return hashlib.sha256(previous + digest).digest()


def _whole(
    stems: list[bytes], index: list[int], id_texts: list[bytes], tails: list[bytes]
) -> list[bytes]:
    """Values as they were before they were cut."""
    return [
        b'{"id":"%b%b%b' % (text[:32], stems[k], tail)
        for text, k, tail in zip(id_texts, index, tails, strict=True)
    ]


def _lengths(parts: Sequence[bytes]) -> bytes:
    return np.fromiter(map(len, parts), "<u4", len(parts)).tobytes()


def _index(names: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """The distinct names and each row's place among them."""
    if len(set(names)) == 1:
        return (names[0],), bytes(2 * len(names))
    places: dict[str, int] = {}
    index = [places.setdefault(name, len(places)) for name in names]
    return tuple(places), np.array(index, "<u2").tobytes()
