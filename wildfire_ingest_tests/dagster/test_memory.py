"""What a process has freed goes back to the system."""

import ctypes
from pathlib import Path

import pytest

from wildfire_ingest.orchestration.memory import give_back

BLOCK, BLOCKS = 64 * 1024, 2_000


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps freed memory so"
)
def test_freed_memory_goes_back_to_the_system():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:  # the last one holds the heap's end: nothing shrinks by itself
        libc.free(block)
    kept = resident_bytes()

    give_back()

    assert kept - resident_bytes() > BLOCK * BLOCKS // 2
    libc.free(blocks[-1])
