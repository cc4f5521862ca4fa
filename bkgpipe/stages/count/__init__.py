"""Count: histograms of the counts and the exposure of each run."""
