"""Background models for gamma-ray astronomy, from a DL3 archive to GADF files."""

from __future__ import annotations

from bkgpipe._version import __version__

__all__ = ["__version__"]
