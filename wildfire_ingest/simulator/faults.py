"""Which answer of the simulator goes wrong, and how.

A plan is decided by the number of the answer alone (and a seed), so a run can be repeated.  The
server asks the plan once for each data answer; control requests never fail.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FaultKind = Literal[
    "too_many_requests",
    "server_error",
    "truncated",
    "slow_drip",
    "html",
    "empty",
    "wrong_key",
    "header_only",
    "disconnect",
    "problem",
    "features_null",
    "access_denied",
]

_BLOCKED = (
    b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>"
    b"You don't have permission to access this server.</BODY></HTML>\n"
)
_PROBLEM = (
    b'{"correlationId":"0badcafe","title":"Unexpected Problem",'
    b'"type":"https://api.weather.gov/problems/UnexpectedProblem","status":500,'
    b'"detail":"An unexpected problem has occurred.",'
    b'"instance":"https://api.weather.gov/requests/0badcafe"}'
)
_NULL = b'{"@context":{"@version":"1.1"},"type":"FeatureCollection","features":null}'

ACCESS_DENIED = (_BLOCKED, 403, {"Content-Type": "text/html"})
"""What stands in front of api.weather.gov says to callers that it blocks."""

OTHER_ANSWERS: dict[FaultKind, tuple[bytes, int, dict[str, str]]] = {
    "empty": (b"", 200, {}),
    "wrong_key": (b"Invalid MAP_KEY.\n", 200, {}),
    "problem": (_PROBLEM, 500, {"Content-Type": "application/problem+json"}),
    "features_null": (_NULL, 503, {"Content-Type": "application/geo+json"}),
    "access_denied": ACCESS_DENIED,
}
"""Faults that put another answer in the place of the true one: its body, status, headers."""

MAX_FAULTS = 1000
MAX_ANSWERS_NAMED = 10_000


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to fail, at the named answers (1 is the next one) or at a rate."""

    kind: FaultKind
    at: Annotated[tuple[int, ...], Meta(max_length=MAX_ANSWERS_NAMED)] = ()
    """Numbers of answers, counted from when the plan was set."""
    rate: Annotated[float, Meta(ge=0, le=1)] = 0.0
    seed: int = 0
    status: Annotated[int, Meta(ge=400, le=599)] = 500
    """Of server_error."""
    retry_after_s: Annotated[int, Meta(ge=0)] = 1
    """Of too_many_requests."""
    as_date: bool = False
    """Retry-After as an HTTP date instead of seconds."""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Of truncated: how much of the announced body is sent."""
    bytes_per_s: Annotated[int, Meta(ge=1)] = 1000
    """Of slow_drip."""

    def strikes(self, number: int) -> bool:
        """Whether the answer with this number fails."""
        if number in self.at:
            return True
        if not self.rate:
            return False
        drawn = hashlib.blake2b(f"{self.seed}|{self.kind}|{number}".encode(), digest_size=8)
        return int.from_bytes(drawn.digest(), "big") < self.rate * 2**64


class FaultPlan:
    """Counts answers and says which fail; the first fault that strikes wins.  Thread-safe."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = faults
        self._answers = 0
        self._struck: dict[str, int] = {}

    def replace(self, faults: tuple[Fault, ...]) -> None:
        """A new plan; its answers count from 1 again."""
        with self._lock:
            self._faults, self._answers = faults, 0

    def next_fault(self) -> Fault | None:
        """The fault of the next answer."""
        with self._lock:
            self._answers += 1
            for fault in self._faults:
                if fault.strikes(self._answers):
                    self._struck[fault.kind] = self._struck.get(fault.kind, 0) + 1
                    return fault
            return None

    def struck(self) -> dict[str, int]:
        """How often each kind has struck since the start."""
        with self._lock:
            return dict(self._struck)


def faults_from_json(body: bytes) -> tuple[Fault, ...]:
    """`{"faults": [{"kind": "html", "at": [3]}]}`.  Raises msgspec.DecodeError."""
    plan = msgspec.json.decode(body, type=dict[str, list[Fault]])
    faults = plan.get("faults", [])
    if len(faults) > MAX_FAULTS or set(plan) - {"faults"}:
        raise msgspec.ValidationError(f'expected {{"faults": [at most {MAX_FAULTS}]}}')
    return tuple(faults)
