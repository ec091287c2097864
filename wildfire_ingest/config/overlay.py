"""What the environment's name and its variables change in the file, before it is validated.

`environment.<WILDFIRE_ENV>` is merged over the file, mapping by mapping; its first keys may be
dotted (`kafka.bootstrap_servers`).  Variables for deployment values stand above both.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from wildfire_ingest.config.document import Document
from wildfire_ingest.config.finding import KeyPath, Place, Report, nearest, shown

DEFAULT_ENVIRONMENT = "development"
VARIABLES: tuple[tuple[str, KeyPath], ...] = (
    # In rising order: a later one wins.
    ("KAFKA_BOOTSTRAP_SERVERS", ("kafka", "bootstrap_servers")),
    ("WILDFIRE_KAFKA_BOOTSTRAP_SERVERS", ("kafka", "bootstrap_servers")),
    ("WILDFIRE_STATE_DIR", ("state_dir",)),
    ("WILDFIRE_ENV", ("environment_name",)),
    ("WILDFIRE_INSTANCE", ("instance",)),
)


def environment_names(document: Document) -> list[str]:
    """The names that have an overlay."""
    block = document.data.get("environment")
    return list(block) if isinstance(block, dict) else []


def chosen(document: Document, environ: Mapping[str, str], report: Report) -> str | None:
    """The overlay in force; None where none is asked for."""
    name = environ.get("WILDFIRE_ENV") or document.data.get("environment_name")
    names = environment_names(document)
    if not isinstance(name, str) or not names:
        return None
    if name not in names:
        report.error(
            "unknown_environment",
            ("environment",),
            f"no environment {shown(name)}, which WILDFIRE_ENV or environment_name asks for",
            f"one of {', '.join(names)}",
            nearest(name, names),
        )
        return None
    return name


def merged(document: Document, name: str | None) -> Document:
    """The document with one overlay in force.  A malformed overlay is left for validation."""
    result = Document(document.file, copy.deepcopy(document.data), dict(document.places))
    overlay = result.data.get("environment", {})
    overlay = overlay.get(name) if isinstance(overlay, dict) and name is not None else None
    if not isinstance(overlay, dict):
        return result
    for key, value in copy.deepcopy(overlay).items():
        origin: KeyPath = ("environment", name or "", key)
        _put(result, tuple(key.split(".")), value, origin)
    return result


def with_variables(document: Document, environ: Mapping[str, str]) -> None:
    """Put the deployment variables over the document."""
    for variable, path in VARIABLES:
        value = environ.get(variable)
        if value:
            _set(document, path, value)
            document.places[path] = Place(f"environment variable {variable}", 0)


def _put(document: Document, path: KeyPath, value: Any, origin: KeyPath) -> None:
    """Merge a value at a path; its place is where the overlay wrote it."""
    if isinstance(value, dict) and isinstance(_get(document.data, path), dict):
        for key, inner in value.items():
            _put(document, (*path, key), inner, (*origin, key))
        return
    _set(document, path, value)
    for written in [place for place in document.places if place[: len(origin)] == origin]:
        document.places[path + written[len(origin) :]] = document.places[written]


def _get(data: Any, path: KeyPath) -> Any:
    for part in path:
        if not isinstance(data, dict):
            return None
        data = data.get(part)
    return data


def _set(document: Document, path: KeyPath, value: Any) -> None:
    target = document.data
    for part in path[:-1]:
        inner = target.get(str(part))
        if not isinstance(inner, dict):
            inner = {}
            target[str(part)] = inner
        target = inner
    target[str(path[-1])] = value
