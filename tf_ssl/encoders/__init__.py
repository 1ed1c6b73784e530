"""Networks from image to feature: ResNet, batch norm, projection heads."""
