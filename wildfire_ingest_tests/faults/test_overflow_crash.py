"""A kill between archiving what a full spool gives up and giving it up."""

import pytest
from confluent_kafka.admin import AdminClient

from wildfire_ingest.intake.load import unpack
from wildfire_ingest.intake.overflow import Archived, OverflowArchive
from wildfire_ingest_tests.faults.fires import answer, expected, row

pytestmark = pytest.mark.kafka


def test_a_kill_after_archiving_leaves_every_record_in_kafka_once_or_in_the_archive(stream):
    polls = [answer(*(row(n) for n in range(100 * p, 100 * p + 100))) for p in range(12)]
    source = stream(polls, lanes=False)
    admin = AdminClient({"bootstrap.servers": source.bootstrap})
    admin.delete_topics([source.topic])[source.topic].result(20)
    tight = {"polling_interval_s": 0.3, "spool_max_bytes": 220_000}

    killed = source.work("replay", crash="overflow.after_archive:2", engine=tight)
    assert killed.wait() == -9
    source.create_topics()
    source.finish()

    counts, contents = source.judged()
    wanted = expected(polls).records
    archived = _archived_records(source)
    assert set(counts.values()) == {1}
    assert archived
    assert len(counts) + len(archived) >= len(wanted)
    assert all(contents[key] == wanted[key] for key in counts)
    lost = len(wanted) - len(counts)
    ledger = source.note_cursor()
    assert ledger.evicted == lost
    assert ledger.evicted <= len(archived)
    assert 0 < len(counts) < len(wanted)


def _archived_records(source):
    found: list[bytes] = []
    for entry in OverflowArchive(source.state / "overflow").read():
        assert isinstance(entry, Archived)
        load = entry.load
        found += unpack(load.lane, load.seq, b"", entry.ids, entry.payload).values
    return found
