"""Whether a source that keeps failing may be asked: closed, open, or half-open with one trial.

Pure: no clock, no lock.  Times are integer microseconds of wall time, because the state is
shared by processes (circuits.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """Open after `max_failures` in a row, for `open_us`."""

    max_failures: int
    open_us: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state; a new circuit is closed."""

    failures: int = 0
    """In a row."""
    open_until_us: int = 0
    trial_until_us: int = 0
    """One process is trying; its claim ends here, so that its death blocks nobody for long."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Ask the source; keep `circuit`.  A trial is one attempt, without retries."""

    circuit: Circuit
    trial: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not ask before `wait_us` have passed; keep `circuit`."""

    circuit: Circuit
    wait_us: int


def ask(policy: CircuitPolicy, circuit: Circuit, now_us: int) -> Pass | Refuse:
    """Decide for one fetch at `now_us`; every Pass is answered by one of the three below."""
    if circuit.failures < policy.max_failures:
        return Pass(circuit, trial=False)
    # Later than now + open_us can only be a clock that was set back: it starts anew from here.
    latest_us = now_us + policy.open_us
    known = Circuit(
        circuit.failures,
        min(circuit.open_until_us, latest_us),
        min(circuit.trial_until_us, latest_us),
    )
    left_us = max(known.open_until_us, known.trial_until_us) - now_us
    if left_us > 0:
        return Refuse(known, left_us)
    trial = Circuit(known.failures, known.open_until_us, latest_us)
    return Pass(trial, trial=True)


def succeeded() -> Circuit:
    """The source answered: closed, and the count begins anew."""
    return Circuit()


def failed(
    policy: CircuitPolicy, circuit: Circuit, now_us: int, *, at_once: bool = False
) -> Circuit:
    """One more failure in a row; `at_once` opens whatever the count (a refused key)."""
    failures = max(circuit.failures + 1, policy.max_failures if at_once else 0)
    # The count needs no more than the limit; a bounded one never overflows a column.
    failures = min(failures, policy.max_failures)
    open_until_us = now_us + policy.open_us if failures >= policy.max_failures else 0
    return Circuit(failures, open_until_us)


def not_asked(circuit: Circuit) -> Circuit:
    """The fetch ended before it asked (stopped, no token): another may try."""
    return Circuit(circuit.failures, circuit.open_until_us)
