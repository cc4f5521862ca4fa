"""Files that a production writes, and how they are read back."""
