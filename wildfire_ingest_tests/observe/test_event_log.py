"""Events as log lines: name and fields, and nothing that came from outside can forge a line."""

import logging

import pytest

from wildfire_ingest.engine.events import Degraded, Paused, PollFailed, Published, Spooled
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.observe.log import EventLog, event_fields
from wildfire_ingest.record import Lane


@pytest.fixture
def logged(caplog):
    """Logs an event; the record that came of it."""

    def emit(event):
        caplog.clear()
        with caplog.at_level(logging.INFO, "wildfire_ingest.events"):
            EventLog().emit(event)
        (record,) = caplog.records
        return record

    return emit


def test_a_line_is_the_events_name_and_its_fields(logged):
    event = Published(
        source_id="firms", lanes=(Lane.HIGH, Lane.LOW), records=2, dead=0, duration_s=0.25
    )

    record = logged(event)

    assert record.getMessage() == (
        "Published source_id=firms lanes=HIGH,LOW records=2 dead=0 duration_s=0.25"
    )
    assert record.levelno == logging.INFO


def test_the_fields_are_kept_for_a_handler_that_writes_json(logged):
    record = logged(Degraded(source_id="firms", reason="look here"))

    assert record.event == "Degraded"
    assert record.fields == {"source_id": "firms", "reason": "look here"}


def test_what_a_person_should_see_is_a_warning(logged):
    failed = PollFailed(source_id="firms", error_class="SourceUnavailable", message="down")

    assert logged(failed).levelno == logging.WARNING
    assert logged(Paused(source_id="firms", publisher="bulk", seconds=1, lag=9)).levelno == (
        logging.INFO
    )


def test_a_ledger_shows_what_is_not_zero():
    event = Spooled(source_id="firms", counts=Ledger(fetched=3, accepted=3), loads=1)

    assert event_fields(event) == {
        "source_id": "firms",
        "fetched": 3,
        "accepted": 3,
        "loads": 1,
        "from_cache": False,
    }


@pytest.mark.parametrize(
    "hostile", ["a\nERROR forged", "a\x1b[2J", 'a" b="c', "a\u202eb", "a\x85b"]
)
def test_no_value_forges_a_line_or_a_field(logged, hostile):
    text = logged(Degraded(source_id="firms", reason=hostile)).getMessage()

    assert text.isprintable()
    assert text.startswith('Degraded source_id=firms reason="')
    assert text.count('"') - text.count('\\"') == 2


def test_a_level_that_is_off_costs_nothing(caplog):
    with caplog.at_level(logging.ERROR, "wildfire_ingest.events"):
        EventLog().emit(Degraded(source_id="firms", reason="x"))

    assert caplog.records == []
