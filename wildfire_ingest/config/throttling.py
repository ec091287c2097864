"""The `throttling:` block: how consumer lag slows a source down.

Rates in records/s, lag in records, times in seconds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wildfire_ingest.config.base import Model, Seconds, Sequence

Rate = Annotated[float, Field(ge=0, le=10_000_000)]
Lag = Annotated[int, Field(ge=0)]


class ThrottlingModel(Model):
    """Sending slows down while consumers fall behind; CRITICAL is exempt."""

    enabled: bool = True
    """Whether lag and rates slow anything down."""
    min_send_rate: Rate = 1.0
    """Least that a throttled source still gets, records/s."""
    max_send_rate: Rate = 1000.0
    """Most that one source sends, records/s; 0 = unlimited."""
    target_consumer_lag: Lag = 1000
    """Below it everything is sent, records."""
    critical_consumer_lag: Lag = 5000
    """Above it pauses double (2, 4, 8, 16 s), records."""
    consumer_groups: dict[str, Sequence[str]] = Field(default_factory=dict)
    """Whose lag counts: topic -> consumer groups. Without groups there is no lag throttle."""
    adjustment_factor: Annotated[float, Field(gt=1.0, le=100.0)] = 1.5
    """Factor of the earlier system's rate changes."""
    window_size_seconds: Seconds = 60.0
    """Window of the earlier system's lag average, s."""
    metric_sample_size: Annotated[int, Field(ge=1)] = 100
    """Samples of the earlier system's lag average."""
