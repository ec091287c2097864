"""Which source types can run, by the name that stream_config.yaml uses."""

from __future__ import annotations

from wildfire_ingest.sources.nasa_firms import NasaFirms

CONNECTORS = {NasaFirms.source_type: NasaFirms}
