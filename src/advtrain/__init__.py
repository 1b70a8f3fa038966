"""Cheap adversarial training: attacks, defenses, training and evaluation, as a library without command line or workflow."""
