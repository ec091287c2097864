"""What is wrong with a configuration, said so that a person can mend it.

Pure values.  A finding never carries a secret: what could be one is described, not shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from wildfire_ingest.config.secrecy import HIDDEN, looks_secret
from wildfire_ingest.errors import ConfigError

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]

SHOWN_CHARS = 60
SECRET_NAME = re.compile(
    r"(?i)(password|passwd|secret|token|credential|(api|map|access|private|ssl)[_.-]?key)"
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Place(NamedTuple):
    """Where a key stands: a file and a line counted from 1, or an environment variable."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong or doubtful; `str()` of it is its line."""

    rule: str
    """A short stable word, e.g. `unknown_key`."""
    file: str
    line: int
    path: str
    """The key, e.g. `sources.firms_modis.ingestion.mode`."""
    message: str
    severity: Severity

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        mark = "warning: " if self.severity == "warning" else ""
        return f"{where}: {mark}{self.path or '(the file)'}: {self.message}"


class InvalidConfig(ConfigError):
    """A configuration with errors; its text is one line a finding."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


def dotted(path: KeyPath) -> str:
    """`("topic_rules", "content", 0)` as `topic_rules.content[0]`, safe for a terminal."""
    text = ""
    for part in path:
        piece = f"[{part}]" if isinstance(part, int) else _key_shown(part)
        text += piece if isinstance(part, int) or not text else f".{piece}"
    return text


def _key_shown(key: str) -> str:
    return HIDDEN if looks_secret(key) else printable(key)


def printable(text: str) -> str:
    """Control characters escaped and the length bounded: one finding stays one line."""
    plain = CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
    return plain if len(plain) <= SHOWN_CHARS else plain[: SHOWN_CHARS - 1] + "…"


def shown(value: object, path: KeyPath = ()) -> str:
    """How a found value appears in a message."""
    if any(isinstance(part, str) and SECRET_NAME.search(part) for part in path):
        return "a value (not shown: it may be a secret)"
    if isinstance(value, str):
        if looks_secret(value) or re.search(r"//[^/\s]*@", value):
            return "a text (not shown: it may hold a secret)"
        return f"'{printable(value)}'"
    if isinstance(value, bool | None):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    return printable(str(value))


def nearest(word: object, valid: Iterable[str]) -> str | None:
    """The valid word that someone who wrote `word` most likely meant."""
    if not isinstance(word, str):
        return None
    by_folded = {candidate.casefold(): candidate for candidate in valid}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def wording(found: str, expected: str, near: str | None = None) -> str:
    """The one sentence form of all messages."""
    hint = f" (did you mean {near}?)" if near else ""
    return f"found {found}; expected {expected}{hint}"


@dataclass(slots=True)
class Report:
    """The findings of one reading, with the places of its keys."""

    file: str
    places: Mapping[KeyPath, Place]
    findings: list[Finding] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """The place of a key, or of the nearest key above it that was written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(self.file, 1)

    def error(
        self, rule: str, path: KeyPath, found: str, expected: str, near: str | None = None
    ) -> None:
        """Add an error in the common wording."""
        self.add(rule, path, wording(found, expected, near), "error")

    def warn(self, rule: str, path: KeyPath, message: str) -> None:
        """Add a warning."""
        self.add(rule, path, message, "warning")

    def add(self, rule: str, path: KeyPath, message: str, severity: Severity) -> None:
        """Add one finding, once."""
        place = self.place(path)
        finding = Finding(rule, place.file, place.line, dotted(path), message, severity)
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def errors(self) -> list[Finding]:
        return sorted(
            (one for one in self.findings if one.severity == "error"),
            key=lambda one: (one.file, one.line),
        )

    @property
    def warnings(self) -> list[Finding]:
        return sorted(
            (one for one in self.findings if one.severity == "warning"),
            key=lambda one: (one.file, one.line),
        )
