"""From the rows of one answer to the loads of one poll: identity, verdict, value, lane, topic.

Pure but for the index that it keeps: `weigh` changes nothing, `remember` is called once the
loads are durable.  Every row of the answer is counted in exactly one column of the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.intake.giants import clear
from wildfire_ingest.intake.identity import (
    Identified,
    ValueWriter,
    content_hash,
    content_of_value,
    identify,
    reject_id,
    split_ids,
)
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import ID_ROW, RECORD, REJECT, Packed, Rows, Stems, pack
from wildfire_ingest.intake.seen import Judged, Seen, Verdict
from wildfire_ingest.record import Body, DeadLetter, Decoded, Lane, Record, Reject

RESTORE_ROWS = 200_000
MAX_STEMS = 65_535
"""As many as 16 bits can name."""


class Routes(Protocol):
    """Where rows go; a constant where no rule looks into the body."""

    def topic(self, body_type: type[Body]) -> str | Callable[[Body], str]: ...

    def lane(self, body_type: type[Body]) -> Lane | Callable[[Body], Lane]: ...

    def count(self, body_type: type[Body], records: int) -> None:
        """So many went to the constant topic of their type."""
        ...

    def resolutions(self) -> Mapping[str, int]:
        """How many records each kind of rule decided."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """What the intake of one source needs to know."""

    source_id: str
    source_type: str
    window_s: int
    default_lane: Lane
    default_topic: str
    """For rejected rows: where they would have gone."""
    dlq_topic: str
    dlq_enabled: bool = True
    max_records_per_load: int = 500
    max_record_bytes: int = 900_000
    """Below the producer's message.max.bytes of 1,000,000 with key and headers."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one poll brings, before it is durable."""

    packed: list[Packed]
    quarantined: list[Packed]
    """Rows that no topic takes."""
    originals: list[Packed]
    """Rows that go on cut short, whole; counted in `packed`."""
    counts: Ledger
    identified: Identified
    judged: Judged
    rejects: dict[bytes, int] = field(default_factory=dict)


class Intake:
    """One source's intake.  Used by one thread."""

    def __init__(self, settings: IntakeSettings, routes: Routes) -> None:
        self._settings = settings
        self._routes = routes
        self.seen = Seen(settings.window_s)
        self._rejects: dict[bytes, int] = {}

    def resolutions(self) -> Mapping[str, int]:
        """How many records each kind of rule has sent to their topics."""
        return self._routes.resolutions()

    def restore(self, id_rows: Iterable[npt.NDArray[np.void]]) -> None:
        """Rebuild the index, from what the spool keeps or the topics hold; the old one goes."""
        self.seen = Seen(self._settings.window_s)
        self._rejects = {}
        parts: list[npt.NDArray[np.void]] = []
        for part in id_rows:  # some at a time: a full window is hundreds of megabytes
            parts.append(part)
            if sum(map(len, parts)) >= RESTORE_ROWS:
                self._add_known(np.concatenate(parts))
                parts.clear()
        if parts:
            self._add_known(np.concatenate(parts))

    def _add_known(self, rows: npt.NDArray[np.void]) -> None:
        bad = rows["kind"] == REJECT
        for row in rows[bad]:
            digest = int(row["hi"]).to_bytes(8, "big") + int(row["lo"]).to_bytes(8, "big")
            self._rejects[digest] = int(row["observed_s"])
        good = rows[~bad]
        self.seen.restore(
            good["hi"].astype(np.uint64),
            good["lo"].astype(np.uint64),
            good["hash"].astype(np.uint64),
            good["observed_s"].astype(np.int64),
            good["revision"].astype(np.uint32),
        )

    def weigh(self, decoded: Decoded, now_us: int) -> Weighed:
        """Judge and pack one answer."""
        now_s = now_us // SECOND_US
        found = identify(self._settings.source_type, decoded.records)
        judged = self.seen.judge(found.hi, found.lo, found.hashes, found.observed_s, now_s)
        giants: list[Packed] = []
        packed = list(self._gather(decoded.records, found, judged, now_us, giants))
        fresh = self._fresh_rejects(decoded.rejects)
        letters = self._pack_rejects(fresh, now_us)
        counts = self._counts(decoded, judged, len(fresh))
        known = {digest: now_s for digest, _ in fresh}
        if self._settings.dlq_enabled:
            return Weighed(packed + letters, [], giants, counts, found, judged, known)
        return Weighed(packed, letters + giants, [], counts, found, judged, known)

    def remember(self, weighed: Weighed, now_us: int) -> None:
        """The loads are durable: their rows are seen from now on."""
        found = weighed.identified
        self.seen.accept(found.hi, found.lo, found.hashes, found.observed_s, weighed.judged)
        self._rejects.update(weighed.rejects)
        now_s = now_us // SECOND_US
        self.seen.forget_before(now_s)
        oldest = now_s - self._settings.window_s
        if self._rejects and min(self._rejects.values()) < oldest:
            self._rejects = {k: at for k, at in self._rejects.items() if at >= oldest}

    def _gather(
        self,
        records: Sequence[Record],
        found: Identified,
        judged: Judged,
        now_us: int,
        giants: list[Packed],
    ) -> Iterator[Packed]:
        """The accepted rows, by lane, in their order; fills `giants` with those kept whole."""
        limit = self._settings.max_record_bytes
        dlq_topic = self._settings.dlq_topic if self._settings.dlq_enabled else None
        writer = ValueWriter(self._settings.source_id, now_us // SECOND_US)
        accepted = np.flatnonzero(judged.verdicts <= Verdict.REVISION).tolist()
        for lane, places in sorted(self._by_lane(records, accepted).items()):
            step = self._settings.max_records_per_load
            for start in range(0, len(places), step):
                part = places[start : start + step]
                rows = self._rows(writer, records, found, judged, part)
                cleared = clear(lane, rows, limit, dlq_topic, now_us)
                giants += cleared.giants
                if len(cleared.rows):
                    yield pack(lane, cleared.rows)

    def _by_lane(self, records: Sequence[Record], accepted: list[int]) -> dict[Lane, list[int]]:
        types = {type(records[place].body) for place in accepted}
        lanes = {kind: self._routes.lane(kind) for kind in types}
        chosen = set(lanes.values())
        if len(chosen) == 1 and isinstance(only := chosen.pop(), Lane):
            return {only: accepted}
        places: dict[Lane, list[int]] = {}
        for place in accepted:
            lane = lanes[type(records[place].body)]
            lane = lane if isinstance(lane, Lane) else lane(records[place].body)
            places.setdefault(lane, []).append(place)
        return places

    def _rows(
        self,
        writer: ValueWriter,
        records: Sequence[Record],
        found: Identified,
        judged: Judged,
        places: list[int],
    ) -> Rows:
        at = np.array(places)
        ids = np.zeros(len(at), ID_ROW)
        ids["hi"], ids["lo"] = found.hi[at], found.lo[at]
        ids["hash"], ids["observed_s"] = found.hashes[at], found.observed_s[at]
        ids["revision"], ids["kind"] = judged.revisions[at], RECORD
        first, end = places[0], places[-1] + 1
        if end - first == len(places):  # as in a poll of new rows
            mine, contents = records[first:end], found.contents[first:end]
        else:
            mine = [records[i] for i in places]
            contents = [found.contents[i] for i in places]
        types = [type(r.body) for r in mine]
        hex_ids = [found.hex_ids[32 * i : 32 * i + 32] for i in places]
        cut = _cut(writer, set(types), ids, contents)
        if cut is None:
            values = list(map(writer.write, hex_ids, mine, contents, ids["revision"].tolist()))
        else:
            stems = [cut.stems[k] for k in cut.index.tolist()]
            values = [b'{"id":"%b%b%b' % row for row in zip(hex_ids, stems, cut.tails, strict=True)]
        return Rows(
            topics=self._topics(mine),
            types=[kind.record_type for kind in types],
            keys=[r.partition_key for r in mine],
            values=values,
            ids=ids,
            dead={},
            cut=cut,
        )

    def _topics(self, records: Sequence[Record]) -> list[str]:
        types = Counter(type(r.body) for r in records)
        routes = {kind: self._routes.topic(kind) for kind in types}
        for kind, route in routes.items():
            if isinstance(route, str):
                self._routes.count(kind, types[kind])
        chosen = set(routes.values())
        if len(chosen) == 1 and isinstance(only := chosen.pop(), str):
            return [only] * len(records)
        choices = [routes[type(r.body)] for r in records]
        return [
            topic if isinstance(topic, str) else topic(r.body)
            for topic, r in zip(choices, records, strict=True)
        ]

    def _fresh_rejects(self, rejects: Sequence[Reject]) -> list[tuple[bytes, Reject]]:
        """Bad rows not dead-lettered before: the same one comes with every poll."""
        fresh: dict[bytes, Reject] = {}
        for reject in rejects:
            digest = reject_id(self._settings.source_type, reject.raw)
            if digest not in self._rejects:
                fresh.setdefault(digest, reject)
        return list(fresh.items())

    def _pack_rejects(self, fresh: list[tuple[bytes, Reject]], now_us: int) -> list[Packed]:
        step = self._settings.max_records_per_load
        return [
            self._pack_letters(fresh[start : start + step], now_us)
            for start in range(0, len(fresh), step)
        ]

    def _pack_letters(self, fresh: list[tuple[bytes, Reject]], now_us: int) -> Packed:
        n = len(fresh)
        ids = np.zeros(n, ID_ROW)
        ids["hi"], ids["lo"] = split_ids(b"".join(digest for digest, _ in fresh))
        ids["observed_s"], ids["kind"] = now_us // SECOND_US, REJECT
        letters = {
            row: DeadLetter(
                reason=reject.reason,
                error_class=reject.error_class,
                stage="decode",
                original_topic=self._settings.default_topic,
                first_failed_at_us=now_us,
            )
            for row, (_, reject) in enumerate(fresh)
        }
        key = self._settings.source_id.encode()
        limit = self._settings.max_record_bytes
        rows = Rows(
            [self._settings.dlq_topic] * n,
            ["dead_letter"] * n,
            [key] * n,
            [reject.raw[:limit] for _, reject in fresh],
            ids,
            letters,
        )
        return pack(self._settings.default_lane, rows)

    @staticmethod
    def _counts(decoded: Decoded, judged: Judged, fresh_rejects: int) -> Ledger:
        revised = judged.count(Verdict.REVISION)
        return Ledger(
            fetched=decoded.rows,
            duplicate=judged.count(Verdict.DUPLICATE) + len(decoded.rejects) - fresh_rejects,
            too_late=judged.count(Verdict.TOO_LATE),
            filtered=decoded.filtered,
            accepted=judged.count(Verdict.NEW) + revised,
            rejected=fresh_rejects,
            revised=revised,
        )


def _cut(
    writer: ValueWriter,
    types: set[type[Body]],
    ids: npt.NDArray[np.void],
    contents: list[bytes],
) -> Stems | None:
    """The hot path: new rows of one type share their stem with all others of their time."""
    if len(types) != 1 or ids["revision"].any() or b"{}" in contents:
        return None
    times_s, index = np.unique(ids["observed_s"], return_inverse=True)
    (kind,) = types
    if len(times_s) > MAX_STEMS:
        return None
    stems = [writer.stem(kind, at) for at in times_s.tolist()]
    return Stems(stems, index.astype(np.uint16), [content[1:] for content in contents])


def id_rows_of_values(
    found: Iterable[tuple[bytes, bytes]], observed: Callable[[bytes], int]
) -> npt.NDArray[np.void]:
    """Id rows of records read back from topics: (`id` header, value) pairs."""
    rows = []
    for header, value in found:
        digest, _, revision = header.partition(b".")
        at = observed(value)
        content = content_hash(at, content_of_value(value))
        hi, lo = digest[:16], digest[16:]
        rows.append((int(hi, 16), int(lo, 16), content, at, int(revision or b"0"), RECORD))
    return np.array(rows, ID_ROW)
