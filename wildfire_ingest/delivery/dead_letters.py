"""How a dead letter looks: the original bytes, and in its headers why and where it failed.

Pure.  `__connect.errors.*` are Kafka Connect's names (KIP-298), so that its tools read them.
"""

from __future__ import annotations

from wildfire_ingest.clock import iso_utc
from wildfire_ingest.record import DeadLetter

Headers = list[tuple[str, str | bytes | None]]
CONNECTOR = "__connect.errors.connector.name"
TOPIC = "__connect.errors.topic"
STAGE = "__connect.errors.stage"
EXCEPTION_CLASS = "__connect.errors.exception.class.name"
MESSAGE = "__connect.errors.exception.message"


def headers(record_id: bytes, source_id: str, letter: DeadLetter) -> Headers:
    """Headers of one dead letter; the value is the original bytes."""
    return [
        ("id", record_id),
        ("type", b"dead_letter"),
        (CONNECTOR, source_id.encode()),
        (TOPIC, letter.original_topic.encode()),
        (STAGE, letter.stage.encode()),
        (EXCEPTION_CLASS, letter.error_class.encode()),
        (MESSAGE, letter.reason.encode()),
        ("x-original-topic", letter.original_topic.encode()),
        ("x-attempts", b"%d" % letter.attempts),
        ("x-first-failed-at", iso_utc(letter.first_failed_at_us).encode()),
    ]
