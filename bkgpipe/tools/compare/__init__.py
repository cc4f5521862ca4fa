"""Compare models with each other, or with the truth."""
