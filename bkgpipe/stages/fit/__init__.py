"""Fit: one regression for all runs."""
