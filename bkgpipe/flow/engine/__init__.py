"""How Luigi is run: targets, workers, schedulers, several submitters."""
