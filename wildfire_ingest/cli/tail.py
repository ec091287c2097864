"""`wildfire-ingest tail`: records as they arrive in the topics."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice

import click
import msgspec
from confluent_kafka import Consumer, Message

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.cli.dlq import letter_of, lines_of
from wildfire_ingest.cli.run import stopped_by_signals
from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config, dead_letters
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import ConfigError, DeliveryError
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.observe.audit_reading import source_of
from wildfire_ingest.observe.committed import header
from wildfire_ingest.observe.record_line import (
    document_of,
    field_line,
    human_line,
    json_line,
    key_line,
)
from wildfire_ingest.observe.tail import ASK_S, Tail
from wildfire_ingest.observe.topics_of import topics_of

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NAMED_TOPICS = 40
Line = Callable[[Message], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which topics, and which of their records."""

    topics: tuple[str, ...]
    source_id: str | None = None
    meant_for: str | None = None
    """Only dead letters that would have gone there."""
    is_dead: bool = False

    def takes(self, message: Message) -> bool:
        """Whether the record is asked for."""
        if self.meant_for is not None:
            return header(message, dead_letters.TOPIC) == self.meant_for
        if self.source_id is None:
            return True
        return source_of(message, is_dead=self.is_dead) == self.source_id


def _since(_: click.Context, option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise click.BadParameter(
            f"found {text!r}; expected a number and a unit: 30s, 10m, 2h, 1d", param=option
        )
    return float(found[1]) * _UNITS_S[found[2]]


@click.command()
@click.argument("name", metavar="TOPIC|SOURCE")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record there is.")
@click.option(
    "--since", "since_s", callback=_since, metavar="10m", help="Begin with what is so old."
)
@click.option("-n", "count", type=click.IntRange(1), metavar="N", help="End after N records.")
@click.option("--json", "wants_json", is_flag=True, help="Each value as it is, JSON.")
@click.option("--key", "wants_key", is_flag=True, help="Each record's key alone.")
@click.option("--field", "fields", multiple=True, help="This field alone; again for more of them.")
@click.option("--dlq", "wants_dead", is_flag=True, help="The dead letters of it instead.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    *,
    from_beginning: bool,
    since_s: float | None,
    count: int | None,
    wants_json: bool,
    wants_key: bool,
    fields: tuple[str, ...],
    wants_dead: bool,
) -> int:
    """Show the records of TOPIC, or those of SOURCE in its topics, as they are committed.

    One line a record.  Waits through outages of the broker; ends after N records or with Ctrl-C.
    Changes nothing at the broker: no consumer group is joined.
    """
    if from_beginning and since_s is not None:
        raise click.UsageError("--from-beginning and --since exclude each other: give one of them")
    if wants_json + wants_key + bool(fields) > 1:
        raise click.UsageError("--json, --key and --field exclude one another: give one of them")
    config = config_of(ctx)
    settings = build.kafka_settings(config)
    wanted = find(config, settings, name, dead=wants_dead)
    line = _line(wanted, wants_json=wants_json, wants_key=wants_key, fields=fields)
    since_ms = 0 if from_beginning else _since_ms(since_s)
    stop = threading.Event()
    with stopped_by_signals(stop):
        tail = Tail(settings, wanted.topics, exits.say_line, since_ms=since_ms)
        with closing(tail.records(stop)) as records:
            for message in islice(filter(wanted.takes, records), count):
                click.echo(REDACTOR.clean(line(message)))
    return exits.OK


def _since_ms(since_s: float | None) -> int | None:
    if since_s is None:
        return None
    return max(1, int((SystemClock().now_us() / SECOND_US - since_s) * 1000))


def _line(wanted: Wanted, *, wants_json: bool, wants_key: bool, fields: tuple[str, ...]) -> Line:
    """How each record is written."""
    if wants_key:
        return lambda message: key_line(message.key())
    if wanted.is_dead:
        return _letter_line(wants_json=wants_json, fields=fields)
    if wants_json:
        return lambda message: json_line(message.value())
    if fields:
        return lambda message: field_line(document_of(message.value()), fields)
    return lambda message: human_line(message.value(), message.timestamp()[1])


def _letter_line(*, wants_json: bool, fields: tuple[str, ...]) -> Line:
    """The same for a dead letter: its value is anything, its headers say what it is."""
    if fields:
        return lambda message: field_line(asdict(letter_of(message)), fields)
    if wants_json:
        return lambda message: json_line(msgspec.json.encode(asdict(letter_of(message))))
    return lambda message: " ".join(lines_of(letter_of(message)).split("\n    "))


def find(config: StreamConfig, settings: KafkaSettings, name: str, *, dead: bool) -> Wanted:
    """The topic or the source of that name.  Raises ConfigError that names what there is."""
    own = (settings.dlq_topic, settings.offsets_topic)
    declared = [*(topic.name for topic in build.topic_settings(config)), *own]
    is_source = name not in declared and name in config.sources
    if not is_source and name not in declared:
        _require(config, settings, name, declared)
    if is_source:
        topics = (settings.dlq_topic,) if dead else topics_of(config, name)
        return Wanted(topics, source_id=name, is_dead=dead)
    if name == settings.dlq_topic:
        return Wanted((name,), is_dead=True)
    if dead:
        return Wanted((settings.dlq_topic,), meant_for=name, is_dead=True)
    return Wanted((name,))


def _require(config: StreamConfig, settings: KafkaSettings, name: str, declared: list[str]) -> None:
    """A topic that nobody declared has to be in the cluster."""
    try:
        topics = _in_cluster(settings)
    except DeliveryError:
        topics, also = declared, " (the cluster could not be asked)"
    else:
        if name in topics:
            return
        also = ""
    shown = [*sorted(declared), *sorted({*topics} - {*declared})]  # ours first: few and known
    more = f" and {len(shown) - _NAMED_TOPICS} more" if len(shown) > _NAMED_TOPICS else ""
    raise ConfigError(
        f"no topic or source {name!r}{also}; sources are {', '.join(sorted(config.sources))}; "
        f"topics are {', '.join(shown[:_NAMED_TOPICS])}{more}"
    )


def _in_cluster(settings: KafkaSettings) -> list[str]:
    with (
        closing(Consumer(client_config.reader(settings, committed=True))) as consumer,
        mapped("asking for the topics"),
    ):
        return list(consumer.list_topics(timeout=ASK_S).topics)
