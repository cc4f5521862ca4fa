"""Jobs that share no folders with the submitter."""
