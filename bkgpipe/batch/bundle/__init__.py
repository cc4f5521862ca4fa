"""Jobs that need no shared file system: what they are sent, and what comes back."""
