"""What librdkafka repeats is logged once, for whoever uses a client of ours."""

from __future__ import annotations

import logging

import pytest

from wildfire_ingest.delivery import client_config, kafka_log
from wildfire_ingest.delivery.kafka_log import QUIET_S, OncePerOutage
from wildfire_ingest.delivery.settings import KafkaSettings


def said(text: str, at_s: float) -> logging.LogRecord:
    record = logging.LogRecord("wildfire_ingest.kafka", logging.ERROR, "", 0, "%s", (text,), None)
    record.created = at_s
    return record


def test_what_librdkafka_repeats_is_said_once_and_counted() -> None:
    once = OncePerOutage()
    records = [said(f"FAIL producer-{n}: refused", n / 50) for n in range(1000)]
    later = said("FAIL producer-1: refused", QUIET_S)

    assert [once.filter(record) for record in records] == [True, *[False] * 999]
    assert once.filter(later)
    assert later.getMessage() == "FAIL producer-1: refused (and 999 times before)"


def test_another_message_is_not_held_back() -> None:
    once = OncePerOutage()

    assert once.filter(said("FAIL producer-1: refused", 0))
    assert once.filter(said("FAIL producer-1: timed out", 0))


def test_what_a_broker_says_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_log, "MAX_KINDS", 3)
    once = OncePerOutage()

    assert all(once.filter(said(kind, 0)) for kind in "abcdefgh")
    assert len(once._last) <= 3


def test_every_client_logs_where_repetitions_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """With no handler of ours, as in a Dagster run."""
    log = client_config.common(KafkaSettings(bootstrap_servers="localhost:1"))["logger"]

    with caplog.at_level(logging.ERROR, log.name):
        for n in range(50):
            log.error("FAIL [thrd:localhost:%d]: a broker that only this test has", n)

    assert len(caplog.records) == 1
