"""Background events drawn from models."""
