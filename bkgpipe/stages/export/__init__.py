"""Export: GADF files and a data store."""
