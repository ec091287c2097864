"""How a command ends: its exit code, and at most one line on stderr, without secrets.

Codes: 0 all is well, 1 what was looked at is wrong, 2 usage or configuration, 3 already running,
4 superseded, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from wildfire_ingest.errors import ConfigError, IngestError, SpoolBusy, Superseded
from wildfire_ingest.observe.printable import printable as printable  # noqa: PLC0414 - for all commands

OK, WRONG, USAGE, BUSY, SUPERSEDED, INTERRUPTED = 0, 1, 2, 3, 4, 130
DEBUG_VARIABLE = "WILDFIRE_DEBUG"
"""1: the traceback follows the line."""
MEANINGS = {
    OK: "all is well",
    WRONG: "what was looked at is wrong: lint errors, an audit that does not close, a failed run",
    USAGE: "the command line or the configuration is wrong",
    BUSY: "the source is running already",
    SUPERSEDED: "another owner has taken the source over",
    INTERRUPTED: "interrupted",
}


def code_of(error: BaseException) -> int:
    """The exit code that an error stands for."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case click.UsageError() | ConfigError():
            return USAGE
        case SpoolBusy():
            return BUSY
        case Superseded():
            return SUPERSEDED
        case _:
            return WRONG


def ending(work: Callable[[], Any]) -> int:
    """Do the work of a command; its exit code, after any error was said."""
    try:
        result = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone: nothing is left to say, nor to flush at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the command line's own boundary
        if not isinstance(error, click.exceptions.Exit):
            say_error(error)
        return code_of(error)
    return result if isinstance(result, int) else OK


def say_error(error: BaseException, about: str = "") -> None:
    """One line on stderr; the traceback too where WILDFIRE_DEBUG=1."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        say("".join(traceback.format_exception(error)).rstrip())
    say_line(f"error: {about}{_words(error)}")


def say_line(text: str) -> None:
    """One line for a person on stderr, whatever is in the text."""
    say(" | ".join(printable(line.strip()) for line in text.splitlines() if line.strip()))


def say(text: str) -> None:
    """Text for a person on stderr, without secrets."""
    # Imported here: a command that ends well and silently does not need it.
    from wildfire_ingest.fetch.redact import REDACTOR  # noqa: PLC0415 - start-up time

    click.echo(REDACTOR.clean(text), err=True)


def _words(error: BaseException) -> str:
    match error:
        case KeyboardInterrupt() | click.Abort():
            return "interrupted"
        case click.ClickException():
            return error.format_message()
        case IngestError() | OSError():
            return str(error) or type(error).__name__
        case _:
            return (
                f"{type(error).__name__}: {error} (an error of this program; {DEBUG_VARIABLE}=1 "
                "shows where)"
            )
