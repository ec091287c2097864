"""What Terminate does to a run: the engine is asked to stop, drains, and the run ends as canceled.

Dagster's own handler would raise in the middle of anything.  Swallowing its interrupt would turn
a canceled run into a success, so it is raised when the work has ended.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import DagsterExecutionInterruptedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def graceful() -> Iterator[threading.Event]:
    """While it lasts, SIGINT and SIGTERM only set the event; at its end they are raised.

    Off the main thread no signal arrives: the event is then never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    seen = False

    def note(_number: int, _frame: object) -> None:
        nonlocal seen
        seen = True
        # In a thread: the interrupted code may hold the event's own lock.
        threading.Thread(target=stop.set, daemon=True).start()

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, action in before.items():
            signal.signal(number, action)
        if seen:
            raise DagsterExecutionInterruptedError
