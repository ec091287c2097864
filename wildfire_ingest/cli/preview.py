"""`wildfire-ingest preview`: what a source would send, as JSON Lines; no Kafka, no state.

A fetch uses a state folder of its own that is gone afterwards: no cached answer is taken, no
cursor moves.  Stored answers are read as `simulate --replay` and the tests have them (.gz too).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from wildfire_ingest.assembly import build_intake, build_source
from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.clock import SECOND_US, SystemClock, iso_utc
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.ports import Source
from wildfire_ingest.errors import FetchError, SourceUnavailable
from wildfire_ingest.fetch import answer
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.intake.intake import Weighed
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import unpack
from wildfire_ingest.record import Decoded, Polled, Reject

SHOWN_CHARS = 120
MAX_BODY_BYTES = 256 * 1024 * 1024


@click.command()
@click.argument("source")
@click.option(
    "--body",
    "bodies",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Read this stored answer (.gz too) instead of asking; may be repeated, in order.",
)
@click.pass_context
def command(ctx: click.Context, source: str, bodies: tuple[Path, ...]) -> int:
    """Show the records that SOURCE would send, one JSON object a line on stdout.

    They are asked for once, or read from stored answers.  Bad rows and the counts go to stderr.
    Nothing is sent and no state changes.
    """
    config = config_of(ctx)
    api = build_source(config, source)
    intake = build_intake(config, api)
    totals = Ledger()
    decoded_bodies = _stored(api, bodies) if bodies else _asked(config, api)
    for decoded in decoded_bodies:
        now_us = _as_of(decoded, api.window_s)
        weighed = intake.weigh(decoded, now_us)
        _write_records(weighed)
        for reject in decoded.rejects:
            exits.say_line(_reject_line(reject))
        for note in decoded.notes:
            exits.say_line(f"note: {note}")
        intake.remember(weighed, now_us)
        totals = totals.plus(weighed.counts)
    counts = ", ".join(f"{n} {name}" for name, n in totals.as_dict().items() if n)
    exits.say_line(f"{source}: {counts or 'no rows'}")
    return exits.OK


def _asked(config: StreamConfig, source: Source) -> Iterator[Decoded]:
    with tempfile.TemporaryDirectory(prefix="wildfire-preview-") as folder:
        own = config.model_copy(update={"state_dir": Path(folder)})
        client = ApiClient(build.fetch_settings(own, source.source_id), SystemClock())
        try:
            yield poll(source, client).decoded
        except SourceUnavailable as error:
            if error.status is not None:  # it was reached
                raise
            advice = "--body FILE reads a stored answer without network"
            raise SourceUnavailable(f"{error}; {advice}") from error
        finally:
            client.close()


def poll(source: Source, client: ApiClient) -> Polled:
    """Drive one poll of a source without a cursor.  Raises FetchError."""
    asking = source.poll(None, SystemClock().now_us())
    try:
        request = next(asking)
        while True:
            try:
                found = client.fetch(request)
            except FetchError as error:
                request = asking.throw(error)
            else:
                request = asking.send(found)
    except StopIteration as done:
        polled: Polled = done.value
        return polled


def _stored(source: Source, bodies: tuple[Path, ...]) -> Iterator[Decoded]:
    limit = MAX_BODY_BYTES
    for path in bodies:
        name = path.name
        encoding = "gzip" if path.suffix == ".gz" else ""
        plain = answer.unpack(name, encoding, path.read_bytes(), limit)
        yield source.read(answer.check_body(name, "csv", plain, ()))


def _as_of(decoded: Decoded, window_s: int) -> int:
    """Now; for an answer older than the window, the time of its newest row."""
    now_us = SystemClock().now_us()
    newest_us = max((one.observed_at_s for one in decoded.records), default=0) * SECOND_US
    if not newest_us or newest_us > now_us - window_s * SECOND_US:
        return now_us
    exits.say_line(f"note: an old answer, read as if it had come at {iso_utc(newest_us)}")
    return newest_us


def _write_records(weighed: Weighed) -> None:
    stdout = sys.stdout.buffer  # exactly the bytes that would be sent
    for packed in weighed.packed:
        load = unpack(packed.lane, 0, b"", packed.ids, packed.payload)
        for row, value in enumerate(load.values):
            if row not in load.dead:
                stdout.write(value + b"\n")
    stdout.flush()


def _reject_line(reject: Reject) -> str:
    raw = exits.printable(reject.raw[:SHOWN_CHARS].decode("utf-8", "replace"))
    return f"reject: {reject.error_class}: {reject.reason}: {raw}"
