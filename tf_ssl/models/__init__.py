"""Reads a model of any kind as one function from images to features."""
