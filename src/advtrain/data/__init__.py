"""The data sets: where they come from, and as tensors."""
