"""Dagster components of this package."""

from __future__ import annotations

from capi_pipeline.components.destination import Destination

__all__ = ["Destination"]
