"""Axes, images and pages: what all figures are drawn with."""
