"""Text of others that cannot steer a terminal or forge a line.  Pure."""

from __future__ import annotations


def printable(text: str) -> str:
    """Control characters, bidirectional marks and the like escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
