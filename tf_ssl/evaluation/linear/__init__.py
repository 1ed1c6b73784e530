"""Linear probes on frozen features, by SGD or L-BFGS."""
