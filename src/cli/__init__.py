"""What the scripts share on their command lines."""
