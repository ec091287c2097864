"""What an audit says of any evidence: it sees each kind of fault, and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import ID_ROW, id_headers
from wildfire_ingest.intake.spool import State
from wildfire_ingest.observe.audit import FOR_EVER, Evidence, Held, judge
from wildfire_ingest.observe.spool_view import NOT_A_LANE, KeptLoad, SpoolView
from wildfire_ingest.offset import OffsetRecord, OffsetsView, Stored
from wildfire_ingest.record import Lane

DLQ = "dlq"


def rows(first, n):
    ids = np.zeros(n, ID_ROW)
    ids["lo"] = np.arange(first, first + n)
    return ids


def load(seq, first, n, *, state=State.PUBLISHED, lane=Lane.HIGH, dead=0, at_us=100):
    return KeptLoad(int(lane), seq, state, dead, ("fires",), at_us, rows(first, n))


def spool(*loads, published=None, pending=0):
    done = sum(len(one.rows) for one in loads if one.state == State.PUBLISHED)
    done = done if published is None else published
    total = done + pending
    lanes = dict.fromkeys(Lane, Ledger())
    lanes[Lane.HIGH] = Ledger(published=done)
    return SpoolView(
        ledger=Ledger(fetched=total, accepted=total, published=done, pending=pending),
        lanes=lanes,
        pending={Lane.HIGH: (pending, 1)} if pending else {},
        cursor=None,
        last_gap=None,
        spool_id="ours",
        loads=loads,
    )


def offsets(records, seq=9, spool_id="ours"):
    record = OffsetRecord(
        spool_id=spool_id,
        owner="o",
        epoch=1,
        seq=seq,
        sha256="",
        safe_cursor=None,
        records=records,
        dead=0,
    )
    return OffsetsView({Lane.HIGH: Stored(record, 0)}, None, 1)


def held(*counts):
    """counts[i] = how often record i is in the topics."""
    names = id_headers(rows(0, len(counts)))
    return Held({name: n for name, n in zip(names, counts, strict=True) if n})


def audit(view, kafka, in_topics, **more):
    return judge(
        Evidence(
            source_id="firms",
            before=view,
            after=view,
            offsets=kafka,
            held=in_topics,
            dlq_topic=DLQ,
            **more,
        )
    )


def test_books_that_close_have_no_fault():
    found = audit(spool(load(1, 0, 3)), offsets(3), held(1, 1, 1))

    assert (found.faults, found.notes) == ((), ())
    assert (found.published, found.counted, found.in_topics) == (3, 3, 3)


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=30), published=st.data())
def test_each_record_that_is_lost_doubled_or_foreign_is_counted_and_nothing_else(counts, published):
    n = published.draw(st.integers(0, len(counts)))

    found = audit(spool(load(1, 0, n)), offsets(n), held(*counts))

    assert found.lost == sum(c == 0 for c in counts[:n])
    assert found.doubled == sum(c - 1 for c in counts if c > 1)
    assert found.foreign == sum(c > 0 for c in counts[n:])
    assert bool(found.faults) == (any(c != 1 for c in counts[:n]) or any(counts[n:]))


def test_the_faults_name_the_records():
    found = audit(spool(load(1, 0, 2)), offsets(2), held(0, 2, 1))

    assert [fault.split(":")[0] for fault in found.faults] == ["lost", "doubled", "foreign"]
    assert all(f"{n:032x}.0" in fault for n, fault in enumerate(found.faults))


def test_doubled_records_are_a_note_where_only_at_least_once_is_promised():
    found = audit(spool(load(1, 0, 1)), offsets(1), held(2), is_exactly_once=False)

    assert found.faults == ()
    assert found.notes[0].startswith("doubled: 1")


def test_what_is_committed_and_not_marked_yet_is_neither_lost_nor_foreign():
    view = spool(load(1, 0, 2), load(2, 2, 1, state=State.PENDING), pending=1)

    assert audit(view, offsets(3, seq=2), held(1, 1, 1)).faults == ()
    assert audit(view, offsets(2, seq=1), held(1, 1, 0)).faults == ()


def test_pending_records_in_the_topics_without_an_offset_record_are_foreign():
    view = spool(load(1, 0, 2), load(2, 2, 1, state=State.PENDING), pending=1)

    assert audit(view, offsets(2, seq=1), held(1, 1, 1)).foreign == 1


@pytest.mark.parametrize("horizon", [100, FOR_EVER])
def test_only_what_is_inside_the_retention_is_compared(horizon):
    view = spool(load(1, 0, 2, at_us=100))

    found = audit(view, offsets(2), held(0, 0), horizons={"fires": horizon})

    assert found.faults == ()
    assert "inside the retention of fires" in found.notes[0]
    assert audit(view, offsets(2), held(0, 0), horizons={"fires": 99}).lost == 2


def test_the_dead_letter_topics_retention_counts_for_loads_with_dead_letters():
    view = spool(load(1, 0, 2, dead=1))

    assert audit(view, offsets(2), held(0, 1), horizons={DLQ: 200}).faults == ()


def test_records_whose_ids_the_spool_has_freed_are_not_foreign():
    view = spool(load(2, 1, 1), published=2)

    assert audit(view, offsets(2), held(1, 1)).faults == ()
    assert audit(view, offsets(2), held(1, 1, 1)).foreign == 1


def test_records_whose_ids_were_freed_are_missed_by_their_number():
    found = audit(spool(load(2, 1, 1), published=2), offsets(2), held(0, 1))

    assert found.faults == ("lost: the offset records count 1 more than the topics hold",)


def test_ids_read_back_from_the_topics_are_known_and_never_missed():
    adopted = load(-1, 0, 2, lane=NOT_A_LANE)

    found = audit(spool(adopted, published=2), offsets(2), held(1, 1))

    assert found.faults == ()


def test_a_ledger_that_kafka_contradicts_is_a_fault():
    found = audit(spool(load(1, 0, 2)), offsets(5), held(1, 1))

    assert "HIGH: the offset record counts 5, the ledger 2" in found.faults


def test_another_spools_offset_record_is_a_fault():
    found = audit(spool(load(1, 0, 1)), offsets(1, spool_id="theirs"), held(1))

    assert "of another spool" in found.faults[0]


def test_a_ledger_that_does_not_close_is_a_fault():
    view = spool(load(1, 0, 1))
    broken = SpoolView(
        ledger=Ledger(fetched=2, accepted=1, published=1),
        lanes=view.lanes,
        pending={},
        cursor=None,
        last_gap=None,
        spool_id="ours",
        loads=view.loads,
    )

    assert audit(broken, offsets(1), held(1)).faults == (
        "ledger: fetched 2 rows, 1 of them explained",
    )


def test_a_source_without_a_spool_is_compared_by_its_offset_records():
    found = audit(None, offsets(2), held(1, 0))

    assert found.faults == ("lost: the offset records count 1 more than the topics hold",)
    assert "no spool here" in found.notes[0]


def test_a_running_source_may_be_ahead_of_what_was_read_first():
    before = spool(load(1, 0, 1))
    after = spool(load(1, 0, 1), load(2, 1, 1), load(3, 2, 1, state=State.PENDING), pending=1)

    found = judge(
        Evidence(
            source_id="firms",
            before=before,
            after=after,
            offsets=offsets(2, seq=2),
            held=held(1, 1, 1),
            is_running=True,
        )
    )

    assert found.faults == ()
    assert "is running" in found.notes[0]
