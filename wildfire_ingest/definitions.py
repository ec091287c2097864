"""Dagster's entry: the definitions of stream_config.yaml (WILDFIRE_CONFIG names another file)."""

from __future__ import annotations

import logging
import warnings

import dagster as dg

from wildfire_ingest.config import loader
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.orchestration.build import build_definitions

LOG = logging.getLogger("wildfire_ingest.definitions")
# Dagster copies each sensor with a parameter of its own that is in beta, and warns of itself.
warnings.filterwarnings("ignore", "Parameter `owners` of initializer", dg.BetaWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """Read anew whenever Dagster loads the code: by each run process and each reload."""
    try:
        loaded = loader.load()
    except ConfigError as error:
        # Without the loader's frames: the lines that matter are the text's.
        raise ConfigError(f"the configuration cannot be used:\n{error}") from None
    for warning in loaded.warnings:
        LOG.warning("%s", warning)
    return build_definitions(loaded.config)
