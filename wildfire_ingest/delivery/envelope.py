"""Which headers a record carries.

Pure.  `plain`: `id` (id.revision) and `type`; everything else stands in the value.
`bare`: none (hand_over.py); the value says all of it, and sending costs half.
`cloudevents`: the CloudEvents 1.0.2 Kafka binding, binary mode.
"""

from __future__ import annotations

from collections.abc import Iterator

from wildfire_ingest.clock import SECOND_US, iso_utc
from wildfire_ingest.delivery import dead_letters
from wildfire_ingest.delivery.dead_letters import Headers
from wildfire_ingest.delivery.settings import Envelope
from wildfire_ingest.record import Outgoing


def headers_of(load: Outgoing, source_id: str, envelope: Envelope) -> Iterator[Headers]:
    """The headers of each row of a load, in order."""
    if not load.dead:
        return _living(load, source_id, envelope)
    return _with_letters(load, source_id, envelope)


def _with_letters(load: Outgoing, source_id: str, envelope: Envelope) -> Iterator[Headers]:
    for row, plain in enumerate(_living(load, source_id, envelope)):
        letter = load.dead.get(row)
        yield plain if letter is None else dead_letters.headers(load.ids[row], source_id, letter)


def _living(load: Outgoing, source_id: str, envelope: Envelope) -> Iterator[Headers]:
    rows = zip(load.ids, load.types, strict=True)
    if envelope == "plain":
        return ([("id", record_id), ("type", record_type)] for record_id, record_type in rows)
    return _cloudevents(load, source_id)


def _cloudevents(load: Outgoing, source_id: str) -> Iterator[Headers]:
    source = f"/wildfire-ingest/{source_id}".encode()
    for record_id, record_type, at in zip(load.ids, load.types, load.observed_at_s, strict=True):
        yield [
            ("ce_specversion", b"1.0"),
            ("ce_id", record_id),
            ("ce_source", source),
            ("ce_type", b"wildfire." + record_type),
            ("ce_time", iso_utc(at * SECOND_US).encode()),
            ("content-type", b"application/json"),
        ]
