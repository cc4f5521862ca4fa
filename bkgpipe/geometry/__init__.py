"""Positions on the sphere and in the field of view."""
