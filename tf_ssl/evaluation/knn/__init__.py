"""Weighted k-nearest-neighbor classification of frozen features."""
