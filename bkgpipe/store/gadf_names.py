"""Names and words of the open format for gamma-ray astronomy, and of our additions."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["GADF_URL", "QUALITY_BITS", "QUALITY_HDU_NAME"]

QUALITY_HDU_NAME = "BACKGROUND_QUALITY"
# What the bits of a bin mean; none is set where events at safe energies were fitted
QUALITY_BITS: MappingProxyType[int, str] = MappingProxyType(
    {
        1: "below the safe energy of the run",
        2: "filled: no counts or no exposure",
        4: "a condition of the run is beyond the fit",
        8: "no events at this energy",
    }
)

GADF_URL = "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats"
