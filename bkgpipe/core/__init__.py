"""What all stages share: runs, axes, headers of products."""
