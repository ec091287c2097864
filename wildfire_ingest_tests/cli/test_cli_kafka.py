"""Commands against a real Apache Kafka and a replay of answers over HTTP."""

import json

import pytest

from wildfire_ingest_tests import judge
from wildfire_ingest_tests.cli.answers import answer, source_of, topic_of

pytestmark = pytest.mark.kafka


def test_a_run_delivers_each_record_once_and_says_so_in_one_json_line(
    on_kafka, replay, wildfire, kafka
):
    config = on_kafka(replay(answer(1, 2, "north"), answer(2, 3)))
    source = source_of(config)

    first = wildfire("run", source, "--once", config=config)
    second = wildfire("run", source, "--once", config=config)

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    (line,) = first.stdout.splitlines()
    summary = json.loads(line)
    assert (summary["source_id"], summary["ending"], summary["succeeded"]) == (source, "done", True)
    assert (summary["fetched"], summary["published"], summary["dead"]) == (3, 3, 1)
    assert json.loads(second.stdout)["published"] == 1
    values = judge.values(kafka.bootstrap, topic_of(config))
    assert sorted(json.loads(value)["latitude"] for value in values) == [1, 2, 3]


def test_an_audit_of_a_clean_run_closes(on_kafka, replay, wildfire):
    config = on_kafka(replay(answer(1, 2, "north"), answer(2, 3)))
    source = source_of(config)
    for _ in range(2):
        assert wildfire("run", source, "--once", config=config).exit_code == 0

    found = wildfire("audit", "--json", config=config)

    assert found.exit_code == 0, found.stderr
    numbers = json.loads(found.stdout)
    assert (numbers["published"], numbers["counted"], numbers["in_topics"]) == (4, 4, 4)
    assert (numbers["distinct"], numbers["dead"], numbers["faults"]) == (4, 1, [])
