"""Exact frames of a video file, by PyAV or tensorflow-io."""
