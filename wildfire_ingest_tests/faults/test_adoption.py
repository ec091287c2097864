"""A spool that is deleted, restored from an older copy or corrupt: adopted, nothing twice."""

import shutil

import pytest

from wildfire_ingest_tests.faults.fires import expected, six_polls

pytestmark = pytest.mark.kafka


class Notes:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    def told(self, name):
        return [event for event in self.events if type(event).__name__ == name]


def _go_on(source):
    """The rest of the polls; whether the first run adopted, and how it said so."""
    notes = Notes()
    assert source.poll(observer=notes).ending == "done"
    while not source.site.is_at_end:
        assert source.poll().ending == "done"
    (recovered,) = notes.told("Recovered")
    return recovered.adopted, [event.reason for event in notes.told("Degraded")]


def test_a_deleted_spool_is_rebuilt_from_kafka(stream):
    source = stream()
    for _ in range(3):
        source.poll()
    source.lose_spool()

    adopted, said = _go_on(source)

    assert adopted
    assert "315 ids read back" in said[0]
    source.must_hold(expected(six_polls()), least=480)


def test_a_spool_restored_from_an_older_copy_is_no_spool_to_go_on_with(stream):
    source = stream()
    source.poll()
    shutil.copytree(source.state, source.folder / "older")
    source.poll()
    source.poll()
    shutil.rmtree(source.state)
    shutil.copytree(source.folder / "older", source.state)

    adopted, _ = _go_on(source)

    assert adopted
    source.must_hold(expected(six_polls()), least=480)


def test_a_spool_restored_with_what_was_not_published_then_repeats_nothing(stream):
    """The copy holds loads that were published after it was made."""
    source = stream()
    source.poll()
    assert source.work("once", crash="txn.before_commit").wait() == -9
    shutil.copytree(source.state, source.folder / "older")
    source.poll()
    source.poll()
    shutil.rmtree(source.state)
    shutil.copytree(source.folder / "older", source.state)

    while not source.site.is_at_end:
        assert source.poll().ending == "done"

    assert source.note_cursor().quarantined > 0
    source.must_hold(expected(six_polls()), least=480)


@pytest.mark.parametrize("damage", ["whole", "middle"])
def test_a_corrupt_spool_is_moved_aside_and_rebuilt(stream, damage):
    source = stream()
    for _ in range(3):
        source.poll()
    (path,) = source.state.rglob("firms_test.db")
    for side in source.state.rglob("firms_test.db-*"):
        side.unlink()
    content = bytearray(path.read_bytes())
    page_bytes = int.from_bytes(content[16:18], "big")  # sqlite.org/fileformat.html, 1.3.2
    start = 0 if damage == "whole" else page_bytes
    content[start : start + page_bytes] = b"\xa5" * page_bytes
    path.write_bytes(content)

    adopted, _ = _go_on(source)

    assert adopted
    assert len(list(source.state.rglob("*.corrupt-1"))) == 1
    source.must_hold(expected(six_polls()), least=480)
