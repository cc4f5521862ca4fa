"""Mask: which part of the field of each run is free of sources."""
