"""`wildfire-ingest topics`: the cluster's topics against the declared ones."""

from __future__ import annotations

from collections.abc import Sequence

import click
from confluent_kafka.admin import AdminClient

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.config import build
from wildfire_ingest.delivery import client_config, topics
from wildfire_ingest.delivery.settings import TopicSettings
from wildfire_ingest.delivery.topics import Step


@click.group()
def command() -> None:
    """Compare the cluster's topics with the declared ones, or create and change them.

    Nothing is ever deleted or shrunk.
    """


@command.command()
@click.pass_context
def plan(ctx: click.Context) -> int:
    """Show what `sync` would do; ends with code 1 when that is anything."""
    admin, declared = _cluster(ctx)
    steps = topics.plan(admin, declared)
    _show(admin, declared, steps)
    return exits.WRONG if any(step.action != "nothing" for step in steps) else exits.OK


@command.command()
@click.pass_context
def sync(ctx: click.Context) -> int:
    """Create and change the cluster's topics as declared; a second time does nothing."""
    admin, declared = _cluster(ctx)
    _show(admin, declared, topics.sync(admin, declared), done=True)
    return exits.OK


def _cluster(ctx: click.Context) -> tuple[AdminClient, list[TopicSettings]]:
    config = config_of(ctx)
    kafka = build.kafka_settings(config)
    declared = topics.with_own_topics(build.topic_settings(config), kafka)
    return AdminClient(client_config.common(kafka)), declared


def _show(
    admin: AdminClient,
    declared: Sequence[TopicSettings],
    steps: Sequence[Step],
    *,
    done: bool = False,
) -> None:
    for step in steps:
        prefix = "done: " if done and step.action != "nothing" else ""
        click.echo(prefix + exits.printable(str(step)))
    for warning in topics.warnings(admin, declared):
        exits.say_line(f"warning: {warning}")
