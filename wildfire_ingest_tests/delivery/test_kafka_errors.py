"""Each of librdkafka's errors becomes the one of ours that says what to do."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from wildfire_ingest.delivery.kafka_errors import classify, mapped
from wildfire_ingest.errors import (
    BrokerUnavailable,
    DeliveryDenied,
    DeliveryError,
    OutcomeUnknown,
    ProducerFenced,
    RecordRefused,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._FENCED, ProducerFenced),
        (KafkaError.INVALID_PRODUCER_EPOCH, ProducerFenced),
        (KafkaError._AUTHENTICATION, DeliveryDenied),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, DeliveryDenied),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, DeliveryDenied),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, DeliveryDenied),
        (KafkaError.MSG_SIZE_TOO_LARGE, RecordRefused),
        (KafkaError.INVALID_RECORD, RecordRefused),
        (KafkaError._MSG_TIMED_OUT, BrokerUnavailable),
        (KafkaError._TRANSPORT, BrokerUnavailable),
        (KafkaError.NOT_ENOUGH_REPLICAS, BrokerUnavailable),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, BrokerUnavailable),
    ],
)
def test_whose_fault_and_whether_it_passes(code: int, kind: type[DeliveryError]) -> None:
    error = classify(KafkaException(KafkaError(code)), "sending")

    assert type(error) is kind
    assert str(error).startswith("sending: ")
    assert error.code in str(error)


def test_a_missing_topic_says_which_command_makes_it() -> None:
    assert "topics sync" in str(classify(KafkaError(KafkaError._UNKNOWN_PARTITION), "reading"))


def test_a_lost_exception_of_librdkafka_is_an_unknown_outcome() -> None:
    with pytest.raises(OutcomeUnknown), mapped("committing"):
        raise SystemError("returned a result with an exception set")
