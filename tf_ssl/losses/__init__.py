"""Contrastive and supervised losses: tensors in, scalar out, no state."""
