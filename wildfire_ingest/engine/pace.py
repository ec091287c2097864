"""How fast a source went lately: a few samples of its totals, kept with its spool.

Pure.  A rate is what was counted since a sample, by the time since then; so it is true also where
nothing ran meanwhile.  Times: integer microseconds of wall time.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wildfire_ingest.clock import SECOND_US

MAX_SAMPLES = 10
SPACING_US = 25 * SECOND_US
"""Less than housekeeping's 30 s; runs that follow one another faster share samples."""
WINDOW_US = 300 * SECOND_US
"""A rate is that of the last five minutes, or since the last sample where that is older."""
_LEAST_US = SECOND_US


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A source's totals at a moment."""

    at_us: int
    fetched: int
    published: int


class Pace(msgspec.Struct, frozen=True):
    """The last samples, oldest first, and how new the newest observation is."""

    samples: tuple[Sample, ...] = ()
    newest_observed_s: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Records per second over the last `over_s` seconds."""

    fetched_per_s: float
    published_per_s: float
    over_s: float


def is_due(pace: Pace, now_us: int) -> bool:
    """Whether the last sample is too old, or of a future that a clock was set back from."""
    return not pace.samples or abs(now_us - pace.samples[-1].at_us) >= SPACING_US


def sampled(pace: Pace, sample: Sample, newest_observed_s: int = 0) -> Pace:
    """The pace with one more sample; the last is always the newest, the others stand apart."""
    kept = [one for one in pace.samples if one.at_us <= sample.at_us]
    if len(kept) > 1 and sample.at_us - kept[-2].at_us < SPACING_US:
        kept.pop()
    newest_s = max(pace.newest_observed_s, newest_observed_s)
    return Pace((*kept, sample)[-MAX_SAMPLES:], newest_s)


def rates(pace: Pace, now: Sample) -> Rates | None:
    """How fast it went until `now`; None where no sample is old enough to say."""
    known = [one for one in pace.samples if now.at_us - one.at_us >= _LEAST_US]
    if not known:
        return None
    recent = [one for one in known if now.at_us - one.at_us <= WINDOW_US]
    base = recent[0] if recent else known[-1]
    over_s = (now.at_us - base.at_us) / SECOND_US
    return Rates(
        max(0, now.fetched - base.fetched) / over_s,
        max(0, now.published - base.published) / over_s,
        over_s,
    )


def encoded(pace: Pace) -> str:
    """As it is stored."""
    return msgspec.json.encode(pace).decode()


def decoded(stored: object) -> Pace:
    """As it was stored; what cannot be read is no pace."""
    if not isinstance(stored, str):
        return Pace()
    try:
        return msgspec.json.decode(stored, type=Pace)
    except msgspec.MsgspecError:
        return Pace()
