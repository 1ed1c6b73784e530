"""Downstream protocols: what a model's features are good for."""
