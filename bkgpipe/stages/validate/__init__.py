"""Validate: score models on runs that they have not seen."""
