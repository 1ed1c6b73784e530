"""Semantic segmentation on an encoder, frozen or fine-tuned."""
