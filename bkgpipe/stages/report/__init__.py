"""Report: figures and tables about a production."""
