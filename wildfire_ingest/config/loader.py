"""Reads stream_config.yaml (or JSON) into a StreamConfig, or says all that is wrong with it.

Order: file, overlay, deployment variables, earlier names, `${ENV:NAME}`, custom_params, models,
rules between keys, warnings.  A part that fails is reported, left out, and the rest is checked.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wildfire_ingest.config import overlay
from wildfire_ingest.config.base import Model
from wildfire_ingest.config.connectors import CONNECTORS
from wildfire_ingest.config.document import Document, read
from wildfire_ingest.config.explanation import explain
from wildfire_ingest.config.finding import (
    Finding,
    InvalidConfig,
    KeyPath,
    Report,
    dotted,
    printable,
)
from wildfire_ingest.config.interpolation import PREFIXES, interpolate
from wildfire_ingest.config.lint import lint
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.preparation import prepare
from wildfire_ingest.config.rules import check
from wildfire_ingest.config.secrecy import hider

DEFAULT_FILE = "stream_config.yaml"
MAX_REPAIRS = 8
PUBLIC_VARIABLES = frozenset(
    ("WILDFIRE_CONFIG", "WILDFIRE_DEBUG", *(name for name, _ in overlay.VARIABLES))
)
"""Ours, and no secrets although their names begin like theirs: a finding may name the value."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is doubtful about it."""

    config: StreamConfig
    warnings: tuple[Finding, ...]
    path: Path


def load(path: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read a configuration; no path: WILDFIRE_CONFIG, else ./stream_config.yaml.

    Raises ConfigError; its text has one line for each error.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get("WILDFIRE_CONFIG") or DEFAULT_FILE)
    try:
        found = _load(path, environ)
    except InvalidConfig as error:
        raise InvalidConfig(_hidden(error.findings, environ)) from None
    return replace(found, warnings=_hidden(found.warnings, environ))


def _load(path: Path, environ: Mapping[str, str]) -> Loaded:
    document = read(path)
    report = Report(document.file, document.places)
    chosen = overlay.chosen(document, environ, report)
    config, found = _examine(overlay.merged(document, chosen), environ)
    report.findings.extend(found.findings)
    for name in overlay.environment_names(document):
        if name != chosen:
            _, other = _examine(overlay.merged(document, name), None)
            report.findings.extend(one for one in other.errors if one not in report.findings)
    if report.errors:
        raise InvalidConfig(report.errors)
    # Relative to the file, so that every process finds the same state wherever it starts.
    state_dir = (path.resolve().parent / config.state_dir.expanduser()).resolve()
    return Loaded(config.model_copy(update={"state_dir": state_dir}), tuple(report.warnings), path)


def _hidden(findings: Iterable[Finding], environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings without any value that a variable for secrets has now."""
    held = [
        value.strip()
        for name, value in environ.items()
        if name.startswith(PREFIXES) and name not in PUBLIC_VARIABLES
    ]
    hide = hider([*held, *map(printable, held)])
    return tuple(replace(one, path=hide(one.path), message=hide(one.message)) for one in findings)


def _examine(document: Document, environ: Mapping[str, str] | None) -> tuple[StreamConfig, Report]:
    """One overlay's configuration; environ None = form only."""
    report = Report(document.file, document.places)
    overlay.with_variables(document, environ or {})
    prepare(document, report)
    raw = copy.deepcopy(document.data)
    interpolate(document.data, environ, report)
    _read_custom_params(document.data, raw, report)
    config, removed = _validated(document.data, raw, report)
    rules = Report(document.file, document.places, list(report.findings))
    check(config, rules)
    lint(config, document.places, rules)
    report.findings.extend(
        one
        for one in rules.findings
        if one not in report.findings and not _is_below(one.path, removed)
    )
    return config, report


def _is_below(path: str, removed: set[str]) -> bool:
    """Whether a key was left out: what is said of its stand-in would be noise."""
    return any(path == gone or path.startswith((f"{gone}.", f"{gone}[")) for gone in removed)


def _read_custom_params(data: dict[str, Any], raw: dict[str, Any], report: Report) -> None:
    """Replace each source's custom_params by the model of its type."""
    sources = data.get("sources")
    for source_id, source in sources.items() if isinstance(sources, dict) else ():
        source_type = source.get("source_type") if isinstance(source, dict) else None
        if not isinstance(source_type, str) or source_type not in CONNECTORS:
            continue
        root = CONNECTORS[source_type].params
        path: KeyPath = ("sources", source_id, "custom_params")
        params = source.get("custom_params")
        written = raw["sources"][source_id].get("custom_params")
        source["custom_params"] = _params(
            root, {} if params is None else params, path, written, report
        )


def _params(root: type[Model], params: Any, path: KeyPath, raw: Any, report: Report) -> Model:
    for _ in range(MAX_REPAIRS):
        try:
            return root.model_validate(params)
        except ValidationError as error:
            wrong = explain(error, root, path, raw, report)
            if not isinstance(params, dict):
                break
            for gone in wrong:
                _remove(params, _removable(gone[len(path) :]))
    return root()


def _validated(
    data: dict[str, Any], raw: dict[str, Any], report: Report
) -> tuple[StreamConfig, set[str]]:
    """The configuration without what is wrong in it, and the keys that had to go."""
    removed: set[str] = set()
    for _ in range(MAX_REPAIRS):
        try:
            return StreamConfig.model_validate(data), removed
        except ValidationError as error:
            for gone in map(_removable, explain(error, StreamConfig, (), raw, report)):
                _remove(data, gone)
                removed.add(dotted(gone))
    return StreamConfig(), removed


def _removable(path: KeyPath) -> KeyPath:
    """A list goes as a whole: without one entry the others' numbers would name other lines."""
    numbers = [index for index, part in enumerate(path) if isinstance(part, int)]
    return path[: numbers[0]] if numbers else path


def _remove(data: dict[str, Any], path: KeyPath) -> None:
    for part in path[:-1]:
        inner = data.get(str(part))
        if not isinstance(inner, dict):
            return
        data = inner
    if path:
        data.pop(str(path[-1]), None)
