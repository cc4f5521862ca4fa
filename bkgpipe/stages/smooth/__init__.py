"""Smooth: from counts and exposure, or from the fit, to a rate."""
