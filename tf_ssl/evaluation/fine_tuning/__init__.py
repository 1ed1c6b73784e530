"""Classification by fine-tuning on a share of the labels."""
