"""Invariance scores of any model: firing, chance, intervals, report."""
