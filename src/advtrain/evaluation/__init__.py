"""Attacks on trained models, as rows of the evaluation table."""
