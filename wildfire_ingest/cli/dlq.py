"""`wildfire-ingest dlq`: the dead letters, for a person who must see what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click
import msgspec
from confluent_kafka import Message

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.clock import iso_utc
from wildfire_ingest.config import build
from wildfire_ingest.delivery import dead_letters
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.observe.committed import Place, Span, committed, header, spans

SHOWN_CHARS = 120
_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it is shown."""

    time: str
    source_id: str
    topic: str
    """Where it would have gone."""
    error_class: str
    reason: str
    id: str
    value: str
    """Its first characters."""


@click.group()
def command() -> None:
    """Look at the dead letters."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True)
@click.option("--source", "source_id", help="Only those of this source.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_letters(ctx: click.Context, limit: int, source_id: str | None, as_json: bool) -> int:
    """Show the newest dead letters, the newest last."""
    settings = build.kafka_settings(config_of(ctx))
    letters = newest(settings, limit, source_id)
    for letter in letters:
        text = msgspec.json.encode(asdict(letter)).decode() if as_json else lines_of(letter)
        click.echo(REDACTOR.clean(text))
    exits.say_line(f"{len(letters)} dead letters of {settings.dlq_topic} shown")
    return exits.OK


def newest(settings: KafkaSettings, limit: int, source_id: str | None) -> list[Letter]:
    """The last letters, oldest first; no more of the topic is read than that needs."""
    whole = spans(settings, [settings.dlq_topic])
    step = 4 * limit
    while True:
        found = sorted(_read(settings, _tails(whole, step), source_id), key=lambda one: one[0])
        if len(found) >= limit or all(span.end - span.low <= step for span in whole.values()):
            return [letter for _, letter in found[-limit:]]
        step *= 8


def _tails(whole: dict[Place, Span], step: int) -> dict[Place, Span]:
    return {place: Span(max(span.low, span.end - step), span.end) for place, span in whole.items()}


def _read(
    settings: KafkaSettings, wanted: dict[Place, Span], source_id: str | None
) -> Iterator[tuple[tuple[int, int], Letter]]:
    for message in committed(settings, wanted, _WAIT_S):
        if source_id in (None, header(message, dead_letters.CONNECTOR)):
            yield (message.timestamp()[1], message.offset() or 0), letter_of(message)


def letter_of(message: Message) -> Letter:
    """A message of the dead letter topic, as it is shown."""
    raw = message.value() or b""
    reason = header(message, dead_letters.MESSAGE)
    return Letter(
        time=iso_utc(message.timestamp()[1] * 1000),
        source_id=exits.printable(header(message, dead_letters.CONNECTOR)),
        topic=exits.printable(header(message, dead_letters.TOPIC)),
        error_class=exits.printable(header(message, dead_letters.EXCEPTION_CLASS)),
        reason=exits.printable(reason),
        id=exits.printable(header(message, "id")),
        value=exits.printable(raw[: 4 * SHOWN_CHARS].decode("utf-8", "replace")[:SHOWN_CHARS]),
    )


def lines_of(letter: Letter) -> str:
    """For a person: what happened, and below it to what."""
    return (
        f"{letter.time}  {letter.source_id} -> {letter.topic}  {letter.error_class}: "
        f"{letter.reason}\n    {letter.id}  {letter.value}"
    )
