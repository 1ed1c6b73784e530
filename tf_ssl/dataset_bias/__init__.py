"""What random crops do to a dataset: statistics of images and boxes."""
