"""What is asked of an API and what it answered: the words that sources and fetch share.

Pure values.  A Request keeps its secrets apart from its template, so that whatever is shown
(log, error, stored byte) is the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


class Secret:
    """A value that never shows itself: not in repr, str, format, JSON or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value; called where the request is put on the wire and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP GET.  `template` may be shown; `{name}` in it is filled from `secrets`."""

    template: str
    """Path and query below the source's base_url, e.g. `/api/area/csv/{map_key}/X/world/1`."""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, Secret] = field(default_factory=dict)
    expects: Literal["csv", "json", "binary"] = "csv"
    cost: float = 1.0
    """What this request takes from its API's quota, in the API's own units."""
    may_be_missing: bool = False
    """404 is an answer like any other: Answer(status=404), no failure."""
    whole: bool = False
    """The body is wanted although nothing may be new: never from the cache, never 304."""
    continues: bool = False
    """A further page: where it fails, "nothing new" of the first must not stand for this one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that passed the checks that hold for every API (status 200, whole, no HTML).

    With status 404, of a request that may be missing: whatever the body was.
    """

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    received_at_us: int
    from_cache: bool = False
    """From the response cache: no poll took place."""
    not_modified: bool = False
    """Nothing new since the rows that are durable: a 304, or the same bytes; body is empty."""
    awaits_poll: bool = False
    """From the cache, and no poll has its rows yet."""
