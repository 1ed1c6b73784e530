"""Training sets cut from boxes, and random subsets of equal size."""
