"""Wildfire data from HTTP APIs into Kafka topics, each observation exactly once."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
