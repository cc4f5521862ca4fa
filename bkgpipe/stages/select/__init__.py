"""Select: choose runs."""
