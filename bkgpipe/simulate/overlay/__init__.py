"""Events of OFF runs, moved to other pointings."""
