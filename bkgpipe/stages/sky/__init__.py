"""Sky: events and predicted background of all runs on the celestial sphere."""
