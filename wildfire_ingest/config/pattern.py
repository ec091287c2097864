"""Whether a regular expression of the configuration is valid and cannot run away.

Python's engine backtracks, so a pattern is kept to a form whose work grows at most with the
square of the text: no repeat inside a repeat, no choice inside a repeat, no back-reference, no
lookaround, at most two open repeats, a bounded length.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MAX_CHARS = 200
MAX_OPEN_REPEATS = 2
ID_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")

_REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}
_REFUSED = {
    sre.GROUPREF: "a back-reference",
    sre.GROUPREF_EXISTS: "a conditional group",
    sre.ASSERT: "a lookaround",
    sre.ASSERT_NOT: "a lookaround",
}


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern, for the words after `found`; None where it may be used."""
    if not pattern:
        return "an empty pattern"
    if len(pattern) > MAX_CHARS:
        return f"a pattern of {len(pattern)} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `[[` will change its meaning
            parsed = _parser.parse(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"an invalid regular expression ({error})"
    open_repeats, problem = _walk(parsed, in_repeat=False)
    if problem is None and open_repeats > MAX_OPEN_REPEATS:
        problem = f"{open_repeats} open repeats (* or +)"
    return problem


def _walk(parsed: Iterable[tuple[Any, Any]], *, in_repeat: bool) -> tuple[int, str | None]:
    """Open repeats below, and the first construct that is refused."""
    total = 0
    for operator, argument in parsed:
        if operator in _REFUSED:
            return total, _REFUSED[operator]
        if operator is sre.BRANCH and in_repeat:
            return total, "a choice (|) inside a repeat, which can take for ever"
        repeats = operator in _REPEATS and argument[1] > 1
        if repeats and in_repeat:
            return total, "a repeat inside a repeat, which can take for ever"
        total += int(repeats and argument[1] is sre.MAXREPEAT)
        for inner in _parts(operator, argument):
            below, problem = _walk(inner, in_repeat=in_repeat or repeats)
            total += below
            if problem:
                return total, problem
    return total, None


def _parts(operator: Any, argument: Any) -> list[Any]:
    if operator in _REPEATS:
        return [argument[2]]
    if operator is sre.BRANCH:
        return list(argument[1])
    if operator is sre.SUBPATTERN:
        return [argument[3]]
    if operator is sre.ATOMIC_GROUP:
        return [argument]
    return []


def literal(pattern: str) -> tuple[bool, str] | None:
    """`^abc` as (True, "abc"), `abc` as (False, "abc"); None for anything less plain."""
    anchored = pattern.startswith("^")
    rest = pattern[1:] if anchored else pattern
    if not rest or re.search(r"[\\^$.|?*+()\[\]{}]", rest):
        return None
    return anchored, rest.lower()


def covers(earlier: str, later: str) -> bool:
    """Whether every id that `later` matches is already matched by `earlier` (if that is plain)."""
    if earlier.lower() == later.lower():
        return True
    first, second = literal(earlier), literal(later)
    if first is None or second is None:
        return False
    if first[0]:
        return second[0] and second[1].startswith(first[1])
    return first[1] in second[1]


def matches_no_id(pattern: str) -> bool:
    """Whether a plain pattern holds a character that no source id may have."""
    plain = literal(pattern)
    return plain is not None and not ID_CHARS.issuperset(plain[1])
