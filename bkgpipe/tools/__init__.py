"""What judges models and archives beside the chain."""
