"""What a Kafka error means for us: the one place where foreign errors become ours.

Pure.  `KafkaError.retriable()` is no help: it is False for _MSG_TIMED_OUT (it serves
transactions only), so the table is our own.  Names: librdkafka's rdkafka.h and Kafka's protocol
guide (kafka.apache.org/protocol, error codes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from wildfire_ingest.errors import (
    BrokerUnavailable,
    DeliveryDenied,
    DeliveryError,
    OutcomeUnknown,
    ProducerFenced,
    RecordRefused,
)

FENCED = frozenset(
    {"_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "INVALID_PRODUCER_ID_MAPPING"}
)
DENIED = frozenset(
    {
        "_AUTHENTICATION",
        "_SSL",
        "SASL_AUTHENTICATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "UNKNOWN_TOPIC_OR_PART",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "TOPIC_EXCEPTION",
        "INVALID_TRANSACTION_TIMEOUT",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "POLICY_VIOLATION",
    }
)
MISSING = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})
REFUSED = frozenset(
    {
        "MSG_SIZE_TOO_LARGE",
        "INVALID_RECORD",
        "INVALID_MSG",
        "INVALID_TIMESTAMP",
        "INVALID_MSG_SIZE",
        "RECORD_LIST_TOO_LARGE",
    }
)


def classify(error: KafkaError | BaseException, doing: str) -> DeliveryError:
    """Our error for a librdkafka error met while `doing` something (said in the text)."""
    found = _kafka_error(error)
    if found is None:
        return OutcomeUnknown(f"{doing}: {error}", code=type(error).__name__)
    name = str(found.name())
    text = f"{doing}: {found.str()} ({name})"
    if name in MISSING:
        text += "; a topic is missing: `wildfire-ingest topics sync` creates the declared ones"
    for names, kind in (
        (FENCED, ProducerFenced),
        (DENIED, DeliveryDenied),
        (REFUSED, RecordRefused),
    ):
        if name in names:
            return kind(text, code=name)
    return BrokerUnavailable(text, code=name)


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Turns librdkafka's exceptions into ours; SystemError is a lost one (see transaction.py)."""
    try:
        yield
    except (KafkaException, SystemError) as error:
        raise classify(error, doing) from error


def _kafka_error(error: KafkaError | BaseException) -> KafkaError | None:
    if isinstance(error, KafkaError):
        return error
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0]
    return None
