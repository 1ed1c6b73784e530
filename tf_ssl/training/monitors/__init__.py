"""Measurements while a run trains: kNN, linear probe, invariance, ..."""
