"""Simulated archives, and background for the simulations of others."""
