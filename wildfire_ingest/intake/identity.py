"""Which observation a row is, and what it says: its id, its content hash, its JSON value.

Pure.  An id is BLAKE2b-128 (RFC 7693) over the source type and the natural key, the same live,
in backfill and after a restart.  The content hash is the first 64 bits of SHA-256 (fastest where
the processor has it) over the observed time and the body's JSON; equal content is a repeat, other
content a revision.  The value is encoded once:
the envelope's fields are put before the body's bytes that were hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b, sha256

import msgspec
import numpy as np
import numpy.typing as npt

from wildfire_ingest.record import Body, Record

ID_BYTES = 16
HASH_BYTES = 8
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_ENCODER = msgspec.json.Encoder()


class Identified(msgspec.Struct, frozen=True, gc=False):
    """The ids and contents of many rows, in parallel."""

    hex_ids: bytes
    """32 digits a row, one after the other."""
    contents: list[bytes]
    """JSON of each body, braces included."""
    hi: U64
    lo: U64
    hashes: U64
    observed_s: I64


def record_id(source_type: str, natural_key: bytes) -> bytes:
    """The 16 bytes of a row's id."""
    return blake2b(_prefix(source_type) + natural_key, digest_size=ID_BYTES).digest()


def reject_id(source_type: str, raw: bytes) -> bytes:
    """A rejected row is the same as long as its raw bytes are."""
    return blake2b(b"reject|" + _prefix(source_type) + raw, digest_size=ID_BYTES).digest()


def content_hash(observed_s: int, content: bytes) -> int:
    """64 bits over the observed time and the body's JSON."""
    digest = sha256(observed_s.to_bytes(8, "big", signed=True) + content).digest()
    return int.from_bytes(digest[:HASH_BYTES], "little")


def identify(source_type: str, records: Sequence[Record]) -> Identified:
    """Ids and content hashes of a whole answer.  About 1.5 us a row."""
    prefix = _prefix(source_type)
    times = [r.observed_at_s for r in records]
    seeds = {at: at.to_bytes(8, "big", signed=True) for at in set(times)}
    contents = [_ENCODER.encode(r.body) for r in records]
    digests = b"".join(
        [blake2b(prefix + r.natural_key, digest_size=ID_BYTES).digest() for r in records]
    )
    hashes = b"".join(
        [sha256(seeds[at] + c).digest() for at, c in zip(times, contents, strict=True)]
    )
    hi, lo = split_ids(digests)
    return Identified(
        hex_ids=digests.hex().encode(),
        contents=contents,
        hi=hi,
        lo=lo,
        hashes=np.frombuffer(hashes, "<u8").reshape(-1, 4)[:, 0].astype(np.uint64),
        observed_s=np.array(times, np.int64),
    )


def split_ids(digests: bytes) -> tuple[U64, U64]:
    """16-byte ids, one after the other, as two columns of integers in the order of their bytes."""
    columns = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(columns[:, 0]), np.ascontiguousarray(columns[:, 1])


class ValueWriter:
    """Writes the JSON values of one poll: the envelope, then the body's own fields."""

    def __init__(self, source_id: str, ingested_at_s: int) -> None:
        self._source = _ENCODER.encode(source_id)
        self._ingested = iso_seconds(ingested_at_s)
        self._middles: dict[tuple[type[Body], int, int], bytes] = {}

    def write(self, hex_id: bytes, record: Record, content: bytes, revision: int) -> bytes:
        """The value of one record; `content` is the JSON of its body."""
        # The hot path: the middle is the same for all rows of one time and revision.
        key = (type(record.body), record.observed_at_s, revision)
        middle = self._middles.get(key)
        if middle is None:
            middle = self._middles[key] = self._middle(*key)
        value = b'{"id":"%b%b%b' % (hex_id, middle, content[1:])
        return value if content != b"{}" else value[:-2] + b"}"

    def stem(self, body_type: type[Body], observed_s: int) -> bytes:
        """What the first revisions of one type and time share, after the id."""
        return self._middle(body_type, observed_s, 0)

    def _middle(self, body_type: type[Body], observed_s: int, revision: int) -> bytes:
        return (
            b'","type":%b,"source_id":%b,"schema_version":%d,'
            b'"observed_at":"%b","ingested_at":"%b","revision":%d,'
            % (
                _ENCODER.encode(body_type.record_type),
                self._source,
                body_type.schema_version,
                iso_seconds(observed_s),
                self._ingested,
                revision,
            )
        )


def content_of_value(value: bytes) -> bytes:
    """The body's JSON out of a value that ValueWriter wrote: for rebuilding the index."""
    at = value.index(b'"revision":')
    comma = value.find(b",", at)
    return b"{}" if comma < 0 else b"{" + value[comma + 1 :]


def iso_seconds(epoch_s: int) -> bytes:
    """`2026-11-23T18:40:00Z`."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _prefix(source_type: str) -> bytes:
    return source_type.encode() + b"|"
