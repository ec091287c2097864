"""How much memory a process and all that it started take together, as Linux counts it.

A shared page counts once (PSS), so that forks and libraries are not counted over again.  Bytes.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Memory(NamedTuple):
    """Of a whole family of processes."""

    processes: int
    n_bytes: int


def memory_of_family(pid: int | None = None, proc: Path = PROC) -> Memory | None:
    """Of a process (this one) and its descendants; None where there is no /proc to tell."""
    found = [_pss(proc / str(one)) for one in _family(pid or os.getpid(), proc)]
    known = [n_bytes for n_bytes in found if n_bytes is not None]
    return Memory(len(known), sum(known)) if known else None


def _family(pid: int, proc: Path) -> Iterator[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for process in proc.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has just ended
            # `1234 (a name) S 1 …`: the name may hold anything, also brackets.
            parent = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            children[int(parent)].append(int(process.name))
    left = [pid]
    while left:
        one = left.pop()
        left += children[one]
        yield one


def _pss(process: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return None
