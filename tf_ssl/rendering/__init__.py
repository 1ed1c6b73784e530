"""Renders objects, scenes and videos with known factors; no download."""
