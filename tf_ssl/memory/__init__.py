"""What methods remember: key queue, memory bank, momentum update."""
