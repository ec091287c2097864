"""The earlier files' words made ours, and what is not built yet disabled, before validation."""

from __future__ import annotations

from typing import Any

from wildfire_ingest.config.connectors import CONNECTORS, type_meant
from wildfire_ingest.config.document import Document
from wildfire_ingest.config.finding import KeyPath, Report, nearest, shown
from wildfire_ingest.config.firms import NOT_BUILT_PRODUCTS


def prepare(document: Document, report: Report) -> None:
    """Change the document's data in place."""
    _relocate_rules(document, report)
    _check_overlays(document.data, report)
    sources = document.data.get("sources")
    if isinstance(sources, list):
        report.error("wrong_type", ("sources",), "a list", "a mapping: source id -> its keys")
        document.data["sources"] = {}
    if not isinstance(sources, dict):
        return
    for source_id, entry in list(sources.items()):
        if isinstance(entry, dict) and not _prepare_source(source_id, entry, report):
            del sources[source_id]


def _relocate_rules(document: Document, report: Report) -> None:
    """`topics.rules` (a block of content and patterns, not a topic) means topic_rules."""
    topics = document.data.get("topics")
    rules = topics.get("rules") if isinstance(topics, dict) else None
    if topics is None or not isinstance(rules, dict) or not rules.keys() & {"content", "patterns"}:
        return
    if "topic_rules" in document.data:
        report.error("twice", ("topics", "rules"), "topics.rules beside topic_rules", "one of them")
    document.data.setdefault("topic_rules", topics.pop("rules"))
    for path in [path for path in document.places if path[:2] == ("topics", "rules")]:
        document.places.setdefault(("topic_rules", *path[2:]), document.places[path])


def _check_overlays(data: dict[str, Any], report: Report) -> None:
    overlays = data.get("environment")
    for name, overlay in overlays.items() if isinstance(overlays, dict) else ():
        for key in overlay if isinstance(overlay, dict) else ():
            if key.split(".")[0] in ("environment", "environment_name"):
                report.error(
                    "overlay",
                    ("environment", name, key),
                    "an overlay of the overlays",
                    "a key that an overlay may change",
                )


def _prepare_source(source_id: str, entry: dict[str, Any], report: Report) -> bool:
    """Whether the entry can be validated as a source."""
    path: KeyPath = ("sources", source_id)
    written = entry.setdefault("source_id", source_id)
    if written != source_id:
        report.error("source_id", (*path, "source_id"), shown(written), f"its key '{source_id}'")
        entry["source_id"] = source_id
    source_type = entry.get("source_type")
    if not isinstance(source_type, str):
        return True  # validation says what is missing
    if source_type not in CONNECTORS:
        report.error(
            "unknown_source_type",
            (*path, "source_type"),
            shown(source_type),
            f"one of {', '.join(CONNECTORS)}",
            nearest(source_type, CONNECTORS),
        )
        return False
    meant = str(type_meant(source_id, source_type, entry.get("custom_params")))
    entry["source_type"] = meant
    product = _firms(entry) if meant == "nasa_firms" else None
    unbuilt = product or (None if CONNECTORS[meant].is_built else meant)
    if unbuilt is not None and entry.get("enabled", True) is True:
        report.warn(
            "not_built", path, f"found {unbuilt}, which is not built yet; it loads as disabled"
        )
        entry["enabled"] = False
    return True


def _firms(entry: dict[str, Any]) -> str | None:
    """Fill in the default key of the API; the product, where it is not built yet."""
    params = entry.setdefault("custom_params", {})
    if not isinstance(params, dict):
        return None
    product = params.get("product")
    if product in NOT_BUILT_PRODUCTS:
        return f"the product {product}"
    if params.get("feed", "api") == "api" and entry.get("enabled", True) is True:
        params.setdefault("map_key", "${ENV:FIRMS_MAP_KEY}")
    return None
