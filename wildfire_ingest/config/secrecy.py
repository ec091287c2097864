"""What of a text could be a secret, by its look or by the environment's values, and hides it.

Pure; lengths in characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

HIDDEN = "(not shown)"
HEX_DISTINCT = 8
"""Fewer distinct characters are a name or a placeholder; 32 random hex digits have about 14."""
MIXED_DIGIT_GROUPS = 3
"""A name has its digits at one or two places (noaa20, 2024), a random key has them all over."""
SHORTEST_WORD = 3
"""A shorter value of the environment (1, ca) stands in any sentence by chance."""
SHORTEST_ANYWHERE = 8
"""A shorter one is hidden as a whole word only."""
_CANDIDATE = re.compile(
    r"(?P<block>-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*)"
    r"|(?P<uuid>(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))"  # PurpleAir and AirNow keys
    r"|(?P<hex>(?i:[0-9a-f]{32,}))"  # FIRMS map keys
    r"|(?P<mixed>[A-Za-z0-9]{24,})"
)


def looks_secret(text: str) -> bool:
    """Whether a key is somewhere in a text: it can hide inside a longer one, such as a URL."""
    return any(True for _ in _secrets(text))


def hider(values: Iterable[str]) -> Callable[[str], str]:
    """A function that hides `values`, and what looks like a secret, in a sentence or a path."""
    patterns = [_pattern(value) for value in sorted(set(values) - {""}, key=len, reverse=True)]
    known = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def hide(text: str) -> str:
        plain = known.sub(HIDDEN, text) if known else text
        for found in sorted(_secrets(plain), key=lambda one: one.start(), reverse=True):
            plain = plain[: found.start()] + HIDDEN + plain[found.end() :]
        return plain

    return hide


def _secrets(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _CANDIDATE.finditer(text) if _is_random(found))


def _is_random(found: re.Match[str]) -> bool:
    word = found[0]
    match found.lastgroup:
        case "hex":
            return _has(r"[0-9]", word) and len(set(word.lower())) >= HEX_DISTINCT
        case "mixed":
            groups = len(re.findall(r"[0-9]+", word))
            return _has(r"[a-z]", word) and _has(r"[A-Z]", word) and groups >= MIXED_DIGIT_GROUPS
        case _:
            return True


def _has(characters: str, word: str) -> bool:
    return re.search(characters, word) is not None


def _pattern(value: str) -> str:
    exact = re.escape(value)
    if len(value) >= SHORTEST_ANYWHERE:
        return exact
    if len(value) >= SHORTEST_WORD:
        return rf"(?<!\w){exact}(?!\w)"
    return rf"(?<='){exact}(?=')|(?<=found ){exact}(?=;)"
