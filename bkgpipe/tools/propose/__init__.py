"""Settings that fit a data store."""
