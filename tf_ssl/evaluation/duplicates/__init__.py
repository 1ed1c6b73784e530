"""Near-duplicate images: perceptual hashes, and a second look at pairs."""
