"""A configuration of one or more FIRMS sources, made where a test wants it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wildfire_ingest.config import loader
from wildfire_ingest.config.model import StreamConfig

MAP_KEY = "feedfacefeedfacefeedfacefeedface"
SASL_WORDS = "correct-horse-battery"


def document(**changes: Any) -> dict[str, Any]:
    """One batch source, every minute, with the API's key."""
    source = {
        "source_type": "nasa_firms",
        "ingestion": {"mode": "batch", "schedule_interval_seconds": 60},
        "cache_ttl_seconds": 0,
        "custom_params": {"map_key": "${ENV:FIRMS_MAP_KEY}"},
    }
    return {
        "topics": {"wildfire-nasa-firms": {"partitions": 2}},
        "sources": {"firms_test": source},
        **changes,
    }


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., StreamConfig]:
    """Loads a document: `configured(document(...))`; its state lies in tmp_path."""

    def load(data: dict[str, Any]) -> StreamConfig:
        path = tmp_path / "stream_config.yaml"
        path.write_text(yaml.safe_dump(data))
        environ = {"FIRMS_MAP_KEY": MAP_KEY, "KAFKA_WORDS": SASL_WORDS}
        return loader.load(path, environ=environ).config

    return load
