"""The training loop, and the timing of its epochs."""
