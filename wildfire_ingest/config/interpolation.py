"""Which values may come from the environment as `${ENV:NAME}`, and that no secret is written.

Only a whole scalar of the fields below, only names with the prefixes below, once, after parsing:
the value of a variable is never looked at again.  Never in keys, topics or patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wildfire_ingest.config.finding import KeyPath, Report, shown
from wildfire_ingest.config.secrecy import looks_secret

REFERENCE = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")
PREFIXES = (
    "WILDFIRE_",
    "KAFKA_",
    "FIRMS_",
    "NOAA_",
    "NWS_",
    "PURPLEAIR_",
    "AIRNOW_",
    "OPENAQ_",
    "SYNOPTIC_",
    "IOT_",
    "SATELLITE_",
    "WEATHER_",
)
"""What a variable's name must begin with: `${ENV:AWS_SECRET_ACCESS_KEY}` is refused."""
SECRET_FIELDS: tuple[KeyPath, ...] = (
    ("kafka", "sasl_password"),
    ("kafka", "ssl_key_password"),
    ("sources", "*", "custom_params", "map_key"),
    ("sources", "*", "custom_params", "api_key"),
    ("sources", "*", "custom_params", "token"),
)
PLAIN_FIELDS: tuple[KeyPath, ...] = (
    ("kafka", "bootstrap_servers"),
    ("kafka", "sasl_username"),
    ("kafka", "ssl_ca_location"),
    ("kafka", "ssl_certificate_location"),
    ("kafka", "ssl_key_location"),
    ("sources", "*", "base_url"),
    ("sources", "*", "custom_params", "user_agent"),
)
STAND_INS = {"bootstrap_servers": "localhost:9092", "base_url": "https://localhost"}
"""For an overlay that is not in force only the form is checked, not the environment."""


def fits(path: KeyPath, pattern: KeyPath) -> bool:
    """Whether a path has the form of a pattern, `*` standing for any one key."""
    return len(path) == len(pattern) and all(
        want in ("*", part) for part, want in zip(path, pattern, strict=True)
    )


def interpolate(data: dict[str, Any], environ: Mapping[str, str] | None, report: Report) -> None:
    """Replace the references in `data`; environ None = check the form only."""
    for path, holder, value in list(_leaves(data, ())):
        is_secret = any(fits(path, field) for field in SECRET_FIELDS)
        is_plain = any(fits(path, field) for field in PLAIN_FIELDS)
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is not None and (is_secret or is_plain):
            needed = _is_needed(data, path)
            found = _lookup(match[1], path, environ, report, needed=needed)
            if found is None:
                del holder[path[-1]]
            else:
                holder[path[-1]] = found
        elif is_secret and value is not None:
            report.error("literal_secret", path, "a literal value (not shown)", _whole(path))
            del holder[path[-1]]
        elif isinstance(value, str):
            _refuse_stray(value, path, is_plain=is_plain, report=report)


def _leaves(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Every scalar below, with the mapping or list that holds it.  Overlays are merged apart."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        if (*path, key) == ("environment",):
            continue
        where = (*path, key)
        if any(fits(where, field) for field in SECRET_FIELDS) or not isinstance(value, dict | list):
            yield where, node, value
        else:
            yield from _leaves(value, where)


def _whole(path: KeyPath) -> str:
    return f"${{ENV:NAME}}, e.g. ${{ENV:WILDFIRE_{str(path[-1]).upper()}}}"


def _lookup(
    name: str, path: KeyPath, environ: Mapping[str, str] | None, report: Report, *, needed: bool
) -> str | None:
    if not name.startswith(PREFIXES):
        report.error(
            "env_name",
            path,
            f"${{ENV:{name}}}",
            f"a name with one of the prefixes {', '.join(PREFIXES)}",
        )
        return None
    if environ is None:
        return STAND_INS.get(str(path[-1]), "unset")
    value = environ.get(name, "").strip("\r\n")
    if value:
        return value
    expected = f"the environment variable {name} to be set"
    if needed:
        report.error("env_unset", path, f"${{ENV:{name}}} without a value", expected)
    else:
        report.warn("env_unset", path, f"found {name} unset; {path[1]} does not need it now")
    return None


def _is_needed(data: dict[str, Any], path: KeyPath) -> bool:
    if path[0] != "sources":
        return True
    source = data["sources"][path[1]]
    params = source.get("custom_params") or {}
    if path[-1] == "map_key" and params.get("feed") == "static":
        return False
    return source.get("enabled", True) is not False


def _refuse_stray(value: str, path: KeyPath, *, is_plain: bool, report: Report) -> None:
    if "${ENV:" in value:
        expected = "${ENV:NAME} as the whole value" if is_plain else "a plain value here"
        report.error("env_place", path, shown(value, path), expected)
    elif looks_secret(value):
        report.error(
            "literal_secret",
            path,
            "what looks like a secret (not shown)",
            "secrets only as ${ENV:NAME}, in the fields that take one",
        )
