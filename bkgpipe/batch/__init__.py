"""Productions on batch systems: jobs, sites, pilots."""
