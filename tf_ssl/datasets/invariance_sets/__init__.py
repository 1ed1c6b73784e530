"""Image sets in which one factor changes, to measure invariance."""
