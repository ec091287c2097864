"""Two owners of one source: one publishes, the other ends and stays ended."""

import shutil
import threading

import pytest
from confluent_kafka import Producer

from wildfire_ingest.assembly import owner_name
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config import build
from wildfire_ingest.delivery.sink import KafkaSink
from wildfire_ingest.errors import Superseded
from wildfire_ingest.offset import partition_of
from wildfire_ingest_tests.faults.fires import expected, six_polls

pytestmark = pytest.mark.kafka


def _sink(source):
    settings = build.kafka_settings(source.loaded)
    return KafkaSink(settings, source.source_id, owner_name(), SystemClock())


def _other_host(source):
    """A second owner with a copy of the state as it is now."""
    shutil.copytree(source.state, source.folder / "other_host")
    return source.configure(source.folder / "other_host", name="other_host.json")


def _take_over(source, other):
    """The other host's runs.  Its first one may adopt: what it polled before, it polls again."""
    once = source.work("once", config=other)
    assert once.wait() == 0
    assert once.summary["ending"] == "done", once.summary
    second = source.work("replay", config=other)
    assert second.wait() == 0
    return second


def test_a_takeover_ends_the_first_owner_and_nothing_is_sent_twice(stream):
    source = stream()
    source.poll()
    other = _other_host(source)
    first = source.work("forever", engine={"polling_interval_s": 3600.0})
    first.wait_for("Spooled")
    first.wait_for("Recovered")

    second = _take_over(source, other)
    assert first.wait() == 0

    assert second.summary["ending"] == "stopped"
    assert first.summary["ending"] == "superseded", first.summary
    counts, _ = source.judged()
    assert counts.keys() == expected(six_polls()).records.keys()
    assert set(counts.values()) == {1}


def test_a_superseded_owner_starts_again_only_when_told_to_take_over(stream):
    source = stream()
    source.poll()
    other = _other_host(source)
    first = source.work("forever", engine={"polling_interval_s": 3600.0})
    first.wait_for("Published")
    _take_over(source, other)
    assert first.wait() == 0

    refused = source.work("once")
    refused.wait()
    taken = source.work("once", take_over=True)
    taken.wait()

    assert refused.summary["ending"] == "superseded"
    assert "--take-over" in refused.summary["message"]
    assert taken.summary["ending"] == "done", taken.summary
    assert set(source.judged()[0].values()) == {1}
    assert source.judged()[0].keys() == expected(six_polls()).records.keys()


def test_of_ten_launches_at_once_one_runs_and_the_others_say_that_it_is_running(stream):
    source = stream()

    launched = [source.work("once") for _ in range(10)]
    for one in launched:
        assert one.wait() == 0

    endings = [one.summary.get("ending") or one.summary["error"] for one in launched]
    assert endings.count("done") >= 1
    assert set(endings) == {"done", "SpoolBusy"}
    assert "already running" in next(
        one.summary["message"] for one in launched if one.summary["kind"] == "refused"
    )
    source.must_hold(expected(six_polls()[:1]), least=180)


def test_a_claim_that_was_aborted_ends_nobody(stream):
    """The other owner died before its claim was committed."""
    source = stream()
    sink = _sink(source)
    sink.claim(sink.inspect(0).epoch + 1)
    _claim_and_abort(source, b'{"owner":"dead","epoch":99}')

    assert sink.prepare("bulk")
    sink.close()


def _claim_and_abort(source, claim):
    producer = Producer(
        {"bootstrap.servers": source.bootstrap, "transactional.id": source.offsets + ".dead"}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    partition = partition_of(source.source_id)
    producer.produce(source.offsets, claim, source.source_id.encode(), partition=partition)
    producer.flush(20)
    producer.abort_transaction(20)


def test_no_producer_is_used_before_its_look_at_the_claims(stream, monkeypatch):
    """Else an idle owner that initialises its id after a takeover's claim could still publish."""
    source = stream()
    first = _sink(source)
    first.claim(first.inspect(0).epoch + 1)
    second = _sink(source)
    second.claim(second.inspect(0).epoch + 1)
    look, peek = threading.Event(), first._partition.peek
    monkeypatch.setattr(first._partition, "peek", lambda: (look.wait(20), peek())[1])
    ended = []

    def prepare():
        with pytest.raises(Superseded):
            first.prepare("bulk")
        ended.append(True)

    preparing = threading.Thread(target=prepare)
    preparing.start()
    taken = first._pools["bulk"].take(1.0)
    look.set()
    preparing.join(20)

    assert taken is None
    assert ended == [True]
    first.close()
    second.close()
