"""Answers for a FakeSource."""

from __future__ import annotations

import json

NOON_S = 1_767_225_600


def line(station: str, value: float | str = 1, *, days_ago: int = 0, urgent: bool = False) -> str:
    row = {"station": station, "value": value, "at_s": NOON_S - 86_400 * days_ago, "urgent": urgent}
    return json.dumps(row) + "\n"


def lines(n: int, value: float = 1, *, prefix: str = "s") -> str:
    return "".join(line(f"{prefix}{i}", value) for i in range(n))
