"""A YAML or JSON file as plain data with the line of every key.

A narrow YAML: mappings, lists and scalars of YAML 1.2's core schema; no anchors, aliases, merge
keys, tags, second documents or duplicate keys, and bounded in size and depth.  PyYAML's own
safe_load keeps the last duplicate silently and expands aliases without bound (pyyaml#235, #897).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from wildfire_ingest.config.finding import (
    Finding,
    InvalidConfig,
    KeyPath,
    Place,
    Report,
    printable,
)

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24


class StrictLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2: `yes` and `12:30` stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]{1,30}", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
    ("tag:yaml.org,2002:merge", r"<<", ["<"]),
)
for _tag, _pattern, _first in _SCALARS:
    StrictLoader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


@dataclass(slots=True)
class Document:
    """The data of one file and the place of each of its keys."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)


def read(path: Path) -> Document:
    """Read one file.  Raises InvalidConfig."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _broken(
            str(path),
            0,
            "unreadable",
            f"found no readable file ({reason}); "
            "expected a configuration file: name it with WILDFIRE_CONFIG, or start where "
            "stream_config.yaml lies",
        ) from None
    return parse(raw, file=str(path), is_json=path.suffix.lower() == ".json")


def parse(raw: bytes, *, file: str, is_json: bool = False) -> Document:
    """Read the bytes of one file.  Raises InvalidConfig."""
    if len(raw) > MAX_BYTES:
        raise _broken(file, 1, "too_large", f"found more than {MAX_BYTES} bytes; expected fewer")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _broken(
            file, line, "not_utf8", "found bytes that are not UTF-8; expected UTF-8"
        ) from None
    if is_json:
        _check_json(text, file)
        # A tab cannot stand in a JSON string, only between tokens, where YAML wants a space.
        text = text.replace("\t", " ")
    return _compose(text, file)


def _broken(file: str, line: int, rule: str, message: str) -> InvalidConfig:
    return InvalidConfig([Finding(rule, file, line, "", message, "error")])


def _check_json(text: str, file: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise _broken(
            file, error.lineno, "syntax", f"found broken JSON ({error.msg}); expected JSON"
        ) from None
    except (RecursionError, ValueError):
        raise _broken(
            file,
            1,
            "syntax",
            f"found JSON too deep or too long a number; expected at most {MAX_DEPTH} levels",
        ) from None


def _compose(text: str, file: str) -> Document:
    document = Document(file)
    report = Report(file, document.places)
    try:
        _check_events(text, file)
        root = StrictLoader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        # Only the problem, never PyYAML's snippet: the line may hold a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = printable(error.problem or "broken")
        raise _broken(
            file, line, "syntax", f"found broken YAML ({problem}); expected YAML"
        ) from None
    except yaml.YAMLError:
        raise _broken(
            file, 1, "syntax", "found a character that YAML does not allow; expected printable text"
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise _broken(
            file,
            1,
            "not_a_mapping",
            "found no mapping; expected keys such as kafka:, topics: and sources:",
        )
    document.data = _mapping(root, (), document, report)
    if report.errors:
        raise InvalidConfig(report.errors)
    return document


def _check_events(text: str, file: str) -> None:
    """Refuse what YAML can do and a configuration needs not, before anything is built."""
    depth = documents = 0
    for event in yaml.parse(text, StrictLoader):
        mark = event.start_mark
        line = mark.line + 1 if mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if documents > 1:
            raise _broken(file, line, "syntax", "found a second document; expected one")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _broken(file, line, "too_deep", f"found more than {MAX_DEPTH} levels")
        if getattr(event, "anchor", None) is not None:
            raise _broken(
                file, line, "alias", "found an anchor or alias (& or *); expected the value itself"
            )
        if getattr(event, "tag", None) is not None:
            raise _broken(file, line, "tag", "found a tag (!); expected a plain value")


def _value(node: yaml.Node, path: KeyPath, document: Document, report: Report) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document, report)
    if isinstance(node, yaml.SequenceNode):
        return _items(node, path, document, report)
    return _scalar(node)


def _items(node: yaml.SequenceNode, path: KeyPath, document: Document, report: Report) -> list[Any]:
    for index, item in enumerate(node.value):
        document.places[(*path, index)] = Place(document.file, item.start_mark.line + 1)
    return [_value(item, (*path, index), document, report) for index, item in enumerate(node.value)]


def _mapping(
    node: yaml.MappingNode, path: KeyPath, document: Document, report: Report
) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if key_node.tag.endswith(":merge") or not isinstance(key, str):
            found = "a merge key (<<)" if key == "<<" else "a key that is not text"
            raise _broken(document.file, line, "key", f"found {found}; expected a name")
        where = (*path, key)
        if key in built:
            first = document.places[where].line
            document.places[where] = Place(document.file, line)
            report.error(
                "duplicate_key", where, f"the key again (first on line {first})", "each key once"
            )
            continue
        document.places[where] = Place(document.file, line)
        built[key] = _value(value_node, where, document, report)
    return built


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
        case _:
            # JSON writes a character beyond the first plane as two escapes; join them.
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
