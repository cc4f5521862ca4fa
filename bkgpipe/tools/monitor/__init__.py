"""Drops and bursts in the rates of runs."""
