"""A running process obeys a pause: that source drains and ends, the others go on."""

import json
import os
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, TopicPartition

from wildfire_ingest.observe.spool_view import owner_of
from wildfire_ingest_tests import judge
from wildfire_ingest_tests.cli.answers import MAP_KEY, answer, source_of, topic_of

pytestmark = pytest.mark.kafka
OTHER = "firms_other"


@pytest.fixture
def running(on_kafka, replay):
    """Two sources in one process, each with a record delivered."""
    config = on_kafka(replay(answer(1), answer(2)))
    data = json.loads(config.read_text())
    one = data["sources"][source_of(config)]
    data["sources"][OTHER] = {**one, "base_url": replay(answer(3), answer(4))}
    config.write_text(json.dumps(data))
    command = [sys.executable, "-m", "wildfire_ingest.cli.main", "--config", str(config)]
    process = subprocess.Popen(
        [*command, "run", source_of(config), OTHER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FIRMS_MAP_KEY": MAP_KEY},
    )
    published = set()
    assert process.stderr is not None
    for line in process.stderr:
        published |= {name for name in (source_of(config), OTHER) if f"d source_id={name} " in line}
        if len(published) == 2 and " Published " in line:
            break
    yield config, process
    process.kill()
    process.communicate()


def test_a_paused_source_drains_and_ends_and_the_other_goes_on(running, wildfire, kafka):
    config, process = running
    source, state = source_of(config), config.parent / "state"

    told = wildfire("pause", source, "--reason", "rain", "--wait", "60", config=config)
    owners = owner_of(state, source), owner_of(state, OTHER)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)

    assert told.exit_code == 0, told.stderr
    assert f"{source}: paused: process {process.pid} stops polling" in told.stdout
    assert f"{source}: does not run; nothing waits" in told.stdout
    assert owners == (None, str(process.pid))
    one, other = map(json.loads, stdout.splitlines())
    assert (one["ending"], one["pending"], one["succeeded"]) == ("stopped", 0, True)
    assert one["message"].endswith("(rain)")
    assert (other["ending"], other["message"]) == ("stopped", "")
    assert process.returncode == 0
    assert f"{source}: paused since" in stderr
    sent = judge.values(kafka.bootstrap, topic_of(config))
    assert len(sent) == one["published"] + other["published"]


def test_the_lag_of_a_source_is_what_its_consumers_have_not_read(
    on_kafka, replay, wildfire, kafka, fresh_name
):
    config = on_kafka(replay(answer(1, 2, 3)))
    topic, group = topic_of(config), fresh_name("group")
    data = json.loads(config.read_text())
    data["throttling"] = {"consumer_groups": {topic: [group]}}
    config.write_text(json.dumps(data))
    assert wildfire("run", source_of(config), "--once", config=config).exit_code == 0
    before = json.loads(wildfire("status", "--json", config=config).stdout)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    starts = [TopicPartition(topic, number, 0) for number in range(2)]
    consumer.commit(offsets=starts, asynchronous=False)
    consumer.close()

    after = json.loads(wildfire("status", "--json", config=config).stdout)

    assert before["consumer_lag"] is None
    assert "has no committed offset" in before["consumer_lag_unknown"]
    assert 3 <= after["consumer_lag"] <= 5  # and a marker of each partition's transaction
