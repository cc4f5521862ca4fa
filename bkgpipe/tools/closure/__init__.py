"""Compare models of a simulated archive with its truth."""
