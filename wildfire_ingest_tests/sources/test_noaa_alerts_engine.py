"""Alerts through the real engine: each message once, those of one event in order."""

from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.testing import DLQ_TOPIC, TOPIC, make_engine
from wildfire_ingest_tests.sources.alerts import ID, alerts, collection, feature, reference

FIRST = feature(1, ends=None)
SECOND = feature(
    2,
    messageType="Update",
    references=[reference(1)],
    vtec=["/O.EXT.KSTO.FW.W.0007.000000T0000Z-260516T0300Z/"],
)
THIRD = feature(
    3,
    messageType="Cancel",
    references=[reference(1), reference(2)],
    vtec=["/O.CAN.KSTO.FW.W.0007.000000T0000Z-260516T0300Z/"],
)


def test_alert_update_and_cancellation_are_three_records_of_one_key_in_order(tmp_path):
    answers = [collection(FIRST), collection(SECOND), collection(THIRD), collection()]

    with make_engine(alerts(state="CA"), answers, tmp_path) as bench:
        for _ in answers:
            assert bench.run_once().succeeded
        seen = bench.kafka.visible(TOPIC)

    assert [message.json()["alert_id"] for message in seen] == [f"{ID}{n}" for n in (1, 2, 3)]
    assert [message.json()["message_type"] for message in seen] == ["Alert", "Update", "Cancel"]
    assert {message.key for message in seen} == {b"KSTO.FW.W.0007.2026"}
    assert {message.json()["revision"] for message in seen} == {0}


def test_messages_of_one_answer_go_out_in_the_order_of_sending(tmp_path):
    with make_engine(alerts(), [collection(THIRD, FIRST, SECOND)], tmp_path) as bench:
        bench.run_once()
        seen = bench.kafka.visible(TOPIC)

    assert [message.json()["alert_id"] for message in seen] == [f"{ID}{n}" for n in (1, 2, 3)]


def test_an_alert_that_stands_twice_in_an_answer_and_in_the_next_is_one_record(tmp_path):
    answer = collection(FIRST, SECOND, FIRST)

    with make_engine(alerts(state="CA"), [answer], tmp_path) as bench:
        first, second = bench.run_once(), bench.run_once()

    assert (first.ledger.accepted, first.ledger.duplicate) == (2, 1)
    assert (second.ledger.accepted, second.ledger.duplicate) == (0, 3)
    assert len(bench.kafka.visible(TOPIC)) == 2


def test_an_alert_sent_months_ago_is_not_too_late(tmp_path):
    old = feature(1, sent="2025-03-01T00:00:00Z")  # the bench's clock: 2026-01-01

    with make_engine(alerts(state="CA"), [collection(old)], tmp_path) as bench:
        summary = bench.run_once()

    assert summary.ledger.accepted == 1


def test_a_bad_alert_is_a_dead_letter_with_its_own_bytes(tmp_path):
    with make_engine(alerts(), [collection(feature(1, sent="soon"), SECOND)], tmp_path) as bench:
        bench.run_once()
        (dead,) = bench.kafka.visible(DLQ_TOPIC)

    assert dead.dead is not None
    assert dead.dead.error_class == "bad_time"
    assert len(bench.kafka.visible(TOPIC)) == 1


def test_what_came_and_went_during_an_outage_of_ours_is_not_missed(tmp_path):
    with make_engine(alerts(state="CA"), [collection()], tmp_path) as bench:
        bench.run_once()
        bench.clock.advance(3 * 3600)
        bench.api.reply_with(collection(THIRD), collection(SECOND, FIRST))
        bench.run_once()
        seen = bench.kafka.visible(TOPIC)

    assert [message.json()["alert_id"] for message in seen] == [f"{ID}{n}" for n in (1, 2, 3)]
    assert bench.api.requests[-1].template == "/alerts?start=2025-12-31T23:50:00Z&area=CA"


def test_missed_alerts_that_failed_are_brought_by_a_later_run(tmp_path):
    with make_engine(alerts(state="CA"), [collection()], tmp_path) as bench:
        bench.run_once()
        bench.clock.advance(3 * 3600)
        bench.api.reply_with(collection(THIRD), SourceUnavailable("503"), collection(FIRST))
        assert bench.run_once().ledger.accepted == 1
        assert bench.run_once().ledger.accepted == 1

    assert len(bench.kafka.visible(TOPIC)) == 2
