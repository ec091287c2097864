"""The books close exactly when every row is accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.intake.ledger import NAMES, Ledger

few = st.integers(0, 50)
ledgers = st.builds(Ledger, **dict.fromkeys(NAMES, few))


@given(few, few, few, few, few, few, few, few)
def test_books_that_explain_every_row_close(a, b, c, d, e, f, g, h) -> None:
    taken = e + f + g + h
    books = Ledger(
        fetched=a + b + c + d + taken,
        duplicate=a,
        superseded=b,
        too_late=c,
        filtered=d,
        accepted=e + f,
        rejected=g + h,
        published=e,
        pending=f,
        evicted=g,
        quarantined=h,
    )

    assert books.faults() == ()
    assert books.plus(Ledger(fetched=1)).faults() == (
        f"fetched {a + b + c + d + taken + 1} rows, {a + b + c + d + taken} of them explained",
    )
    assert len(books.plus(Ledger(published=1)).faults()) == 1


@given(ledgers, ledgers)
def test_what_came_since_and_what_was_make_what_is(before: Ledger, since: Ledger) -> None:
    assert before.plus(since).minus(before) == since


@given(ledgers)
def test_stored_totals_come_back_and_names_of_other_versions_do_not_matter(books: Ledger) -> None:
    assert Ledger.of({**books.as_dict(), "a_later_versions_column": 3}) == books
