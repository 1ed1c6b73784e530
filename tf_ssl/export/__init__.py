"""Encoders in and out: SavedModel, other projects' weights, provenance."""
