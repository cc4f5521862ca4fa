"""Simulated archives with a known truth."""
