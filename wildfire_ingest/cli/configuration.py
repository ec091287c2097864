"""The configuration that a command works on; its secrets are known to the redactor from here on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr

from wildfire_ingest.assembly import find_source
from wildfire_ingest.config.loader import Loaded, load
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.exchange import Secret
from wildfire_ingest.fetch.redact import REDACTOR


def loaded(ctx: click.Context, path: Path | None = None) -> Loaded:
    """Read what --config or `path` names.  Raises ConfigError."""
    found = load(path or ctx.obj)
    REDACTOR.learn(secrets(found.config))
    return found


def config_of(ctx: click.Context) -> StreamConfig:
    """The configuration alone; warnings are for `lint`."""
    return loaded(ctx).config


def chosen(config: StreamConfig, source_ids: tuple[str, ...]) -> list[str]:
    """The named sources, or every one that this process runs.  Raises ConfigError."""
    for source_id in source_ids:
        find_source(config, source_id)
    if source_ids:
        return list(dict.fromkeys(source_ids))
    return [source.source_id for source in config.owned_sources]


def secrets(part: object) -> Iterator[Secret]:
    """Every secret in a model, however deep."""
    match part:
        case SecretStr():
            yield Secret(part.get_secret_value())
        case BaseModel():
            for name in type(part).model_fields:
                yield from secrets(getattr(part, name))
        case dict():
            for value in part.values():
                yield from secrets(value)
        case tuple() | list():
            for value in part:
                yield from secrets(value)
        case _:
            return
