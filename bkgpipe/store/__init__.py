"""Archives of DL3 files: indexes, headers, events, responses."""
