"""Commands against a real Apache Kafka and a replay of answers over HTTP."""

import json
import os
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.preview import MAX_BODY_BYTES
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest_tests import judge
from wildfire_ingest_tests.cli.answers import MAP_KEY, answer, source_of, topic_of

pytestmark = pytest.mark.kafka


def run_once(wildfire, config, *, code=0):
    found = wildfire("run", source_of(config), "--once", config=config)
    assert found.exit_code == code, found.stderr
    return json.loads(found.stdout)


def audited(wildfire, config):
    found = wildfire("audit", "--json", config=config)
    return found.exit_code, json.loads(found.stdout)


def produce(kafka, topic, *records):
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for record in records:
        producer.produce(topic, record.value, record.key, headers=record.headers)
    assert producer.flush(30) == 0


def spool_of(config):
    directory = config.parent / "state"
    return Spool(SpoolSettings(directory=directory, source_id=source_of(config), window_s=1))


# run


def test_a_run_delivers_each_record_once_and_says_so_in_one_json_line(
    on_kafka, replay, wildfire, kafka
):
    config = on_kafka(replay(answer(1, 2, "north"), answer(2, 3)))

    first, second = run_once(wildfire, config), run_once(wildfire, config)

    assert (first["source_id"], first["ending"], first["succeeded"]) == (
        source_of(config),
        "done",
        True,
    )
    assert (first["fetched"], first["published"], first["dead"]) == (3, 3, 1)
    assert (second["duplicate"], second["published"], second["pending"]) == (1, 1, 0)
    values = judge.values(kafka.bootstrap, topic_of(config))
    assert sorted(json.loads(value)["latitude"] for value in values) == [1, 2, 3]


def test_a_run_for_some_seconds_polls_on_and_ends_by_itself(on_kafka, replay, wildfire):
    config = on_kafka(replay(*(answer(one) for one in range(3))))

    found = wildfire("run", source_of(config), "--for", 1.5, config=config)

    assert found.exit_code == 0, found.stderr
    summary = json.loads(found.stdout)
    assert summary["polls"] == summary["published"] == 2


def test_events_go_to_stderr_with_their_fields(on_kafka, replay, wildfire):
    config = on_kafka(replay(answer(1)))

    found = wildfire("run", source_of(config), "--once", config=config)

    assert f"INFO Published source_id={source_of(config)} lanes=HIGH records=1" in found.stderr
    assert MAP_KEY not in found.output


def test_what_preview_shows_is_what_is_sent(on_kafka, replay, wildfire, kafka, tmp_path):
    config = on_kafka(replay(answer(1, 2)))
    body = tmp_path / "body.csv"
    body.write_bytes(answer(1, 2))
    assert body.stat().st_size < MAX_BODY_BYTES

    shown = wildfire("preview", source_of(config), "--body", body, config=config)
    run_once(wildfire, config)

    sent = judge.values(kafka.bootstrap, topic_of(config))
    assert sorted(map(without_time, shown.stdout.encode().splitlines())) == sorted(
        map(without_time, sent)
    )


def without_time(value):
    before, _, after = value.partition(b'"ingested_at":"')
    return before + after[len("2026-11-23T00:00:00Z") :]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_in_good_order_with_its_line(on_kafka, replay, number):
    config = on_kafka(replay(answer(1, 2)))
    command = [sys.executable, "-m", "wildfire_ingest.cli.main", "--config", str(config)]
    process = subprocess.Popen(
        [*command, "run", source_of(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FIRMS_MAP_KEY": MAP_KEY},
    )
    seen = []
    assert process.stderr is not None
    for line in process.stderr:
        seen.append(line)
        if " Published " in line:
            break
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, "".join(seen) + stderr
    (line,) = stdout.splitlines()
    summary = json.loads(line)
    assert (summary["ending"], summary["published"], summary["pending"]) == ("stopped", 2, 0)


def test_a_poll_that_fails_ends_a_run_with_1(on_kafka, wildfire):
    config = on_kafka("http://127.0.0.1:9", source={"timeout_seconds": 1})

    found = wildfire("run", source_of(config), "--once", config=config)

    assert found.exit_code == exits.WRONG
    assert json.loads(found.stdout)["ending"] == "failed"
    assert found.stderr.splitlines()[-1].startswith(f"error: {source_of(config)}: poll failed")


# topics, dead letters, status


def test_a_plan_differs_until_the_topics_are_synced(on_kafka, replay, wildfire):
    config = on_kafka(replay(answer(1)), sync=False)

    before = wildfire("topics", "plan", config=config)
    synced = wildfire("topics", "sync", config=config)
    after = wildfire("topics", "plan", config=config)

    assert (before.exit_code, synced.exit_code, after.exit_code) == (exits.WRONG, 0, 0)
    assert f"{topic_of(config)}: create" in before.stdout
    assert f"{topic_of(config)}: nothing" in after.stdout


def test_dead_letters_are_listed_newest_last_and_cannot_steer_a_terminal(
    on_kafka, replay, wildfire
):
    config = on_kafka(replay(answer("no\x1brth"), answer("south" * 50)))
    run_once(wildfire, config)
    run_once(wildfire, config)

    listed = wildfire("dlq", "list", "--json", config=config)
    last = wildfire("dlq", "list", "--limit", 1, config=config)
    none = wildfire("dlq", "list", "--source", "other", config=config)

    letters = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [one["value"][:9] for one in letters] == ["no\\x1brth", "southsout"]
    assert {(one["source_id"], one["topic"]) for one in letters} == {
        (source_of(config), topic_of(config))
    }
    assert len(letters[1]["value"]) == 120
    assert all(one["reason"] and one["error_class"] and one["id"] for one in letters)
    assert "southsouth" in last.stdout
    assert "rth" not in last.stdout
    assert "\x1b" not in listed.output + last.output
    assert none.stdout == ""


def test_status_shows_what_was_done_and_who_runs(on_kafka, replay, wildfire):
    config = on_kafka(replay(answer(1, 2)))

    never = json.loads(wildfire("status", "--json", config=config).stdout)
    run_once(wildfire, config)
    idle = json.loads(wildfire("status", "--json", config=config).stdout)
    spool = spool_of(config)
    running = wildfire("status", config=config)
    spool.close()

    assert (never["ledger"], never["running_as"], never["limits"]["circuit"]) == (
        None,
        None,
        "closed",
    )
    assert (idle["ledger"]["published"], idle["pending"], idle["epoch"]) == (2, {}, 1)
    assert idle["limits"]["quota_spent"] > 0
    assert "polled_at_s" in idle["cursor"]
    assert f"running ({os.getpid()})" in running.stdout


# audit


@pytest.fixture
def delivered(on_kafka, replay, wildfire):
    """Two polls' worth of records and a dead letter in Kafka."""
    config = on_kafka(replay(answer(1, 2, "north"), answer(2, 3)))
    run_once(wildfire, config)
    run_once(wildfire, config)
    return config


def test_an_audit_of_a_clean_run_closes(delivered, wildfire):
    code, numbers = audited(wildfire, delivered)

    assert (code, numbers["faults"]) == (0, [])
    assert (numbers["published"], numbers["counted"], numbers["in_topics"]) == (4, 4, 4)
    assert (numbers["distinct"], numbers["dead"], numbers["lost"]) == (4, 1, 0)


def test_an_audit_names_a_doubled_and_a_foreign_record(delivered, wildfire, kafka):
    topic = topic_of(delivered)
    one = judge.read_committed(kafka.bootstrap, [topic])[0]
    assert one.value is not None
    own_id = json.loads(one.value)["id"]
    strange = one.value.replace(own_id.encode(), b"f" * 32)
    produce(kafka, topic, one, one._replace(value=strange))

    code, numbers = audited(wildfire, delivered)

    assert code == exits.WRONG
    assert (numbers["lost"], numbers["doubled"], numbers["foreign"]) == (0, 1, 1)
    doubled, foreign = numbers["faults"]
    assert doubled.startswith("doubled: 1")
    assert own_id in doubled
    assert foreign.startswith("foreign: 1")
    assert "f" * 32 in foreign


def test_an_audit_names_what_the_broker_lost(delivered, wildfire, kafka):
    topic = topic_of(delivered)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([topic])[topic].result(30)
    # Each question takes a moment; the broker needs a few.
    assert any(topic not in admin.list_topics(timeout=10).topics for _ in range(1000))
    assert wildfire("topics", "sync", config=delivered).exit_code == 0

    found = wildfire("audit", config=delivered)

    assert found.exit_code == exits.WRONG
    assert "lost: 3 published records are not in the topics" in found.stderr
    assert " no\n" in found.stdout or found.stdout.rstrip().endswith("no")


def test_an_audit_names_a_ledger_that_kafka_contradicts(delivered, wildfire):
    spool = spool_of(delivered)
    with spool.transaction() as db:
        db.execute("UPDATE ledger SET n = n - 1 WHERE name = 'published'")
    spool.close()

    code, numbers = audited(wildfire, delivered)

    assert code == exits.WRONG
    assert any("the offset record counts 4, the ledger 3" in one for one in numbers["faults"])


def test_an_audit_beside_a_running_source_says_so(delivered, wildfire):
    spool = spool_of(delivered)
    found = wildfire("audit", config=delivered)
    spool.close()

    assert found.exit_code == 0, found.stderr
    assert "it is running" in found.stderr


# recover


def test_a_superseded_source_ends_with_4_until_it_is_taken_over(delivered, wildfire):
    spool = spool_of(delivered)
    spool.set_meta(superseded=7)
    spool.close()
    source = source_of(delivered)

    state = json.loads(wildfire("status", "--json", config=delivered).stdout)
    run_once(wildfire, delivered, code=exits.SUPERSEDED)
    refused = wildfire("recover", source, config=delivered)
    taken = wildfire("recover", source, "--take-over", config=delivered)
    run_once(wildfire, delivered)

    assert state["superseded_by_epoch"] == 7
    assert refused.exit_code == exits.SUPERSEDED
    assert "--take-over" in refused.stderr.splitlines()[-1]
    assert taken.exit_code == 0, taken.stderr
    assert "in line with Kafka" in taken.stderr


def test_what_the_broker_lost_is_sent_again_only_when_allowed(
    delivered, wildfire, fresh_name, kafka
):
    settings = json.loads(delivered.read_text())
    settings["kafka"]["offsets_topic"] = fresh_name("offsets")
    delivered.write_text(json.dumps(settings))
    assert wildfire("topics", "sync", config=delivered).exit_code == 0
    source = source_of(delivered)

    refused = wildfire("recover", source, config=delivered)
    again = wildfire("recover", source, "--republish", config=delivered)

    assert refused.exit_code == exits.WRONG
    assert "--republish" in refused.stderr.splitlines()[-1]
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["pending"] == 0
    assert len(judge.values(kafka.bootstrap, topic_of(delivered))) == 6
