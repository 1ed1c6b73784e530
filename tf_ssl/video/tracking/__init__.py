"""Follows regions through one video, without labels."""
