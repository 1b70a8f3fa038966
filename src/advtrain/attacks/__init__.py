"""White-box and black-box attacks, as functions of a model and images."""
