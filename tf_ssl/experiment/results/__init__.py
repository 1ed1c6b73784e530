"""Collects the numbers of an experiment and writes RESULTS.md."""
