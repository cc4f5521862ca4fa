"""Scores of one fold after the other."""
