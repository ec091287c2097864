"""Pydantic's errors as findings: the path in the file, what was found, what is valid or nearest.

The found value is read from the file's own data, before the environment's values came in, so no
secret can reach a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from wildfire_ingest.config.finding import KeyPath, Report, dotted, nearest, shown

TYPES = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text (quote it if it looks like a number)",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "path_type": "a path",
}
BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
    "string_too_short": ("min_length", "at least {} characters"),
    "string_too_long": ("max_length", "at most {} characters"),
    "too_short": ("min_length", "at least {} entries"),
    "too_long": ("max_length", "at most {} entries"),
}
PATTERNS = {
    r"^[A-Za-z0-9_]+$": "letters, digits and _ only",
    r"^[A-Za-z0-9_-]{1,64}$": "at most 64 letters, digits, _ and -",
    r"^[A-Z]{2}$": "a state's two letters, e.g. CA",
    r"^[a-z][a-z0-9_]{0,63}$": "a field's name in lower case, e.g. event",
    r"^([^@\s]+@[^@\s]+|team:[A-Za-z0-9_]+)$": "an e-mail address or team:name",
}


def explain(
    error: ValidationError, root: type[BaseModel], prefix: KeyPath, raw: Any, report: Report
) -> list[KeyPath]:
    """Add the findings of one failed validation; returns the paths that have to go.

    `raw` is what the file says at `prefix`.
    """
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        grouped.setdefault(_path_of(detail, raw), []).append(detail)
    removed: list[KeyPath] = []
    for path, details in grouped.items():
        first = details[0]
        _add(first, details, path, root, prefix, raw, report)
        gone = path[:-1] if first["type"] == "missing" else path
        removed.append((*prefix, *gone))
    return removed


def _path_of(detail: ErrorDetails, raw: Any) -> KeyPath:
    """The location without the parts that name a union's member."""
    path: list[str | int] = []
    node = raw
    for part in detail["loc"]:
        known = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if not known:
            # A key that is absent is named itself; a union's member is not.
            return (*path, part) if detail["type"] == "missing" else tuple(path)
        path.append(part)
        node = node[part]
    return tuple(path)


def _add(
    first: ErrorDetails,
    details: list[ErrorDetails],
    path: KeyPath,
    root: type[BaseModel],
    prefix: KeyPath,
    raw: Any,
    report: Report,
) -> None:
    full = (*prefix, *path)
    if first["type"] == "extra_forbidden":
        valid = keys_at(root, path[:-1])
        listed = f"one of {', '.join(valid)}" if valid else "no key here"
        report.error("unknown_key", full, "an unknown key", listed, nearest(path[-1], valid))
        return
    if first["type"] == "missing":
        # A value that was refused before was taken out: it is not missing in the file.
        if not any(one.path == dotted(full) for one in report.errors):
            report.error("missing_key", full, "nothing", f"a value for {path[-1]}")
        return
    expected, near = _expected(details, _at(raw, path))
    is_key = first["loc"][-1:] == ("[key]",)
    found = f"the name {shown(path[-1])}" if is_key else shown(_at(raw, path), full)
    rule = "wrong_type" if first["type"] in TYPES else "invalid_value"
    report.error(rule, full, found, expected, near)


def _expected(details: Iterable[ErrorDetails], value: Any) -> tuple[str, str | None]:
    """The words after `expected`; those of a union joined by `or`."""
    words: dict[str, None] = {}
    near: str | None = None
    for detail in details:
        context: Mapping[str, Any] = detail.get("ctx", {})
        kind = detail["type"]
        if kind == "refused":
            words[context["expected"]] = None
            near = near or context["near"]
        elif kind == "literal_error":
            choices = re.findall(r"'([^']*)'", context["expected"])
            words[f"one of {', '.join(choices)}"] = None
            near = near or nearest(value, choices)
        elif kind in BOUNDS:
            name, text = BOUNDS[kind]
            words[text.format(context[name])] = None
        elif kind == "string_pattern_mismatch":
            pattern = context["pattern"]
            words[PATTERNS.get(pattern, f"text that matches {pattern}")] = None
        else:
            words[TYPES.get(kind, "a valid value")] = None
    return " or ".join(words), near


def _at(raw: Any, path: KeyPath) -> Any:
    for part in path:
        if isinstance(raw, dict):
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            return None
    return raw


def keys_at(root: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that are valid below a path."""
    current: Any = root
    in_collection = False
    for part in path:
        if in_collection:  # an entry's own name or number: the model below stays the same
            in_collection = False
            continue
        field = current.model_fields.get(str(part)) if current is not None else None
        annotation = field.annotation if field else None
        in_collection = get_origin(annotation) in (dict, tuple)
        current = _model_in(annotation)
    return [] if current is None or in_collection else list(current.model_fields)


def _model_in(annotation: Any) -> Any:
    """The model an annotation holds: itself, of a dict's values, a list's items, an option."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
