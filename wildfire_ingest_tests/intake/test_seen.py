"""The index against a plain dict: the same verdicts and revisions, whatever comes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.intake.seen import DAY_S, Judged, Seen, Verdict

WINDOW_S = 3 * DAY_S
NOW_S = 20_000 * DAY_S

Row = tuple[int, int, int, int]
"""hi, lo, content, observed_s."""


@dataclass
class Model:
    """What Seen promises, in a dict."""

    newest: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def poll(self, rows: list[Row], now_s: int) -> list[tuple[int, int]]:
        return [self._judge(row, now_s) for row in rows]

    def _judge(self, row: Row, now_s: int) -> tuple[int, int]:
        hi, lo, content, observed_s = row
        if observed_s < now_s - WINDOW_S:
            return Verdict.TOO_LATE, 0
        known = self.newest.get((hi, lo))
        if known is None:
            self.newest[hi, lo] = (content, 0)
            return Verdict.NEW, 0
        if known[0] == content:
            return Verdict.DUPLICATE, 0
        self.newest[hi, lo] = (content, known[1] + 1)
        return Verdict.REVISION, known[1] + 1


def day_of(hi: int, lo: int) -> int:
    """The natural key fixes the observed time: five days, of which the oldest is too late."""
    return (hi * 7 + lo) % 5


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Few ids, so that leading halves collide and the same id comes again and again."""
    hi, lo = draw(st.integers(0, 3)), draw(st.integers(0, 5))
    return hi, lo, draw(st.integers(0, 2)), NOW_S - day_of(hi, lo) * DAY_S


polls = st.lists(st.lists(rows(), max_size=12), max_size=8)


def judge(seen: Seen, batch: list[Row], now_s: int = NOW_S, *, accept: bool = True) -> Judged:
    hi, lo, content = (np.array([r[i] for r in batch], np.uint64) for i in range(3))
    observed = np.array([r[3] for r in batch], np.int64)
    judged = seen.judge(hi, lo, content, observed, now_s)
    if accept:
        seen.accept(hi, lo, content, observed, judged)
    return judged


def told(judged: Judged) -> list[tuple[int, int]]:
    return list(zip(judged.verdicts.tolist(), judged.revisions.tolist(), strict=True))


def restore(seen: Seen, accepted: list[tuple[Row, int]]) -> None:
    hi, lo, content = (np.array([r[i] for r, _ in accepted], np.uint64) for i in range(3))
    seen.restore(
        hi,
        lo,
        content,
        np.array([r[3] for r, _ in accepted], np.int64),
        np.array([revision for _, revision in accepted], np.uint32),
    )


@given(polls)
@settings(max_examples=150, deadline=None)
def test_every_verdict_is_that_of_a_dict(batches: list[list[Row]]) -> None:
    seen, model = Seen(WINDOW_S), Model()

    for batch in batches:
        assert told(judge(seen, batch)) == model.poll(batch, NOW_S)
    assert len(seen) == len(model.newest)


@given(polls, polls, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_an_index_restored_in_any_order_gives_the_same_verdicts(
    before: list[list[Row]], after: list[list[Row]], rng: object
) -> None:
    seen, accepted = Seen(WINDOW_S), []
    for batch in before:
        for row, (verdict, revision) in zip(batch, told(judge(seen, batch)), strict=True):
            if verdict <= Verdict.REVISION:
                accepted.append((row, revision))
    rng.shuffle(accepted)  # type: ignore[attr-defined]
    restored = Seen(WINDOW_S)
    cut = rng.randint(0, len(accepted))  # type: ignore[attr-defined]

    restore(restored, accepted[:cut])
    restore(restored, accepted[cut:])

    assert len(restored) == len(seen)
    for batch in after:
        assert told(judge(restored, batch)) == told(judge(seen, batch))


@given(polls, st.integers(0, 6), st.lists(rows(), max_size=12))
@settings(max_examples=100, deadline=None)
def test_forgetting_changes_no_verdict_only_memory(
    before: list[list[Row]], days_later: int, after: list[Row]
) -> None:
    now_s = NOW_S + days_later * DAY_S
    forgetful, keeper = Seen(WINDOW_S), Seen(WINDOW_S)
    for batch in before:
        judge(forgetful, batch)
        judge(keeper, batch)

    gone = forgetful.forget_before(now_s)

    assert len(forgetful) + gone == len(keeper)
    assert told(judge(forgetful, after, now_s)) == told(judge(keeper, after, now_s))


@given(st.lists(rows(), max_size=20))
@settings(max_examples=50, deadline=None)
def test_judging_remembers_nothing(batch: list[Row]) -> None:
    seen = Seen(WINDOW_S)

    first = told(judge(seen, batch, accept=False))

    assert told(judge(seen, batch, accept=False)) == first
    assert len(seen) == 0


def test_a_value_that_goes_a_b_a_is_three_revisions() -> None:
    seen = Seen(WINDOW_S)

    found = [told(judge(seen, [(1, 1, content, NOW_S)]))[0] for content in (1, 2, 1)]

    assert found == [(Verdict.NEW, 0), (Verdict.REVISION, 1), (Verdict.REVISION, 2)]


def test_a_b_a_in_one_answer_is_three_revisions() -> None:
    seen = Seen(WINDOW_S)

    judged = judge(seen, [(1, 1, 1, NOW_S), (1, 1, 2, NOW_S), (1, 1, 1, NOW_S)])

    assert told(judged) == [(Verdict.NEW, 0), (Verdict.REVISION, 1), (Verdict.REVISION, 2)]
    assert told(judge(seen, [(1, 1, 1, NOW_S)])) == [(Verdict.DUPLICATE, 0)]


def test_a_row_is_too_late_from_the_first_second_outside_the_window() -> None:
    seen = Seen(WINDOW_S)

    judged = judge(seen, [(1, 1, 1, NOW_S - WINDOW_S), (2, 2, 2, NOW_S - WINDOW_S - 1)])

    assert told(judged) == [(Verdict.NEW, 0), (Verdict.TOO_LATE, 0)]


def test_the_index_costs_24_bytes_an_id() -> None:
    seen = Seen(WINDOW_S)
    judge(seen, [(n, n, n, NOW_S) for n in range(1000)])

    held = sum(
        array.nbytes
        for day in seen._days.values()
        for run in day._runs
        for array in (run.hi, run.lo, run.hashes)
    )

    assert held == seen.n_bytes == 24_000
