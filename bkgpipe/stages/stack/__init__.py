"""Stack: add up the runs of a group."""
