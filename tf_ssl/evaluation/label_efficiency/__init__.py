"""Whether pretraining helped: accuracy against labels, and what it is worth."""
