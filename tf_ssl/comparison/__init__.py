"""Several reports side by side: one table, one chart, what differs."""
