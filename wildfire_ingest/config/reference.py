"""Writes docs/configuration.md from the models, so that it cannot say anything else.

`python -m wildfire_ingest.config.reference > docs/configuration.md`
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wildfire_ingest.config.connectors import CONNECTORS
from wildfire_ingest.config.interpolation import PREFIXES
from wildfire_ingest.config.kafka import FORBIDDEN, OWN_KEYS, TUNABLE
from wildfire_ingest.config.lint import NO_EFFECT
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.overlay import VARIABLES
from wildfire_ingest.config.schedule import INTERVALS_S

INTRODUCTION = """# Configuration

Written from the models by `python -m wildfire_ingest.config.reference > docs/configuration.md`;
a test fails where it differs.

One file, YAML or JSON: `WILDFIRE_CONFIG`, else `./stream_config.yaml`. An unknown key, a wrong
type or a bad combination is refused with file, line, key, what was found and what is valid;
`wildfire-ingest lint` also names what is doubtful. YAML is kept narrow: no anchors, aliases, tags
or duplicate keys, and `true`/`false` only.

`${ENV:NAME}` may be the whole value of the keys that say so; NAME begins with one of %s.
"""
SIMPLE: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true/false",
    SecretStr: "secret",
    Path: "path",
}


def render() -> str:
    """The page."""
    parts = [INTRODUCTION % ", ".join(f"`{prefix}`" for prefix in PREFIXES)]
    parts.extend(_tables(StreamConfig, "Top level", ""))
    parts.append("## custom_params\n")
    for name, connector in CONNECTORS.items():
        state = "" if connector.is_built else " (not built yet: loads as disabled)"
        parts.append(f"### {name}{state}\n")
        parts.append(
            f"{_summary(connector.params)} Server: `{connector.base_url}`; lane "
            f"{connector.priority}.\n"
        )
        parts.append(_table(connector.params))
    parts.append(_environment())
    parts.append(_passed_through())
    parts.append(_lists())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _tables(model: type[BaseModel], title: str, prefix: str) -> Iterator[str]:
    """The table of a model and of every model below it."""
    yield f"## {title}\n"
    yield f"{_summary(model)}\n"
    yield _table(model)
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is None or name == "custom_params":
            continue
        origin = get_origin(field.annotation)
        entry = ".<name>" if origin is dict else "[]" if origin is tuple else ""
        path = f"{prefix}{name}{entry}"
        yield from _tables(inner, path, f"{path}.")


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip()


def _table(model: type[BaseModel]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name == "source_id":
            continue
        cells = (f"`{name}`", _type(field.annotation), _default(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none" if field.default_factory is not None else "**required**"
    value: Any = field.default
    if value is None or value == ():
        return "none"
    if isinstance(value, BaseModel) or (isinstance(value, tuple) and value):
        return "see below"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(annotation: Any) -> str:
    """What a person writes for a type."""
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if origin in (None, dict, tuple):
        return "list" if origin is tuple else "mapping"
    if all(isinstance(argument, str) for argument in arguments):
        return ", ".join(f"`{argument}`" for argument in arguments)
    words = [_type(argument) for argument in arguments if argument is not type(None)]
    return " or ".join(dict.fromkeys(words))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _environment() -> str:
    lines = ["## Environment variables\n", "| variable | stands for |", "|---|---|"]
    lines.append("| `WILDFIRE_CONFIG` | the file's path |")
    lines.extend(f"| `{name}` | `{'.'.join(map(str, path))}` |" for name, path in VARIABLES)
    lines.append("| `FIRMS_MAP_KEY` | default of `map_key` of nasa_firms |")
    return "\n".join(lines) + "\n"


def _passed_through() -> str:
    own = "\n".join(f"| `{key}` | use `{ours}` |" for key, ours in sorted(OWN_KEYS.items()))
    kept = "\n".join(f"| `{key}` | {reason} |" for key, reason in sorted(FORBIDDEN.items()))
    tunable = ", ".join(f"`{key}`" for key in sorted(TUNABLE))
    return (
        f"## kafka.client_config\n\nMay be passed through: {tunable}.\n\n"
        f"| refused | why |\n|---|---|\n{own}\n{kept}\n"
    )


def _lists() -> str:
    unused = "\n".join(
        f"| `{'.'.join(map(str, path))}` | {reason} |" for path, reason in NO_EFFECT.items()
    )
    intervals = ", ".join(str(seconds) for seconds in INTERVALS_S)
    return (
        f"## Accepted, without effect yet\n\n| key | why |\n|---|---|\n{unused}\n\n"
        f"## Intervals that a cron line can say\n\n`schedule_interval_seconds`: {intervals}.\n"
    )


if __name__ == "__main__":
    sys.stdout.write(render())
