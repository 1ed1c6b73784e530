"""Recipes of random views: crops per image, photometric changes per batch."""
