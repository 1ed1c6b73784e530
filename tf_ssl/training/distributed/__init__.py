"""Several devices and machines: strategies, clusters, the launcher."""
