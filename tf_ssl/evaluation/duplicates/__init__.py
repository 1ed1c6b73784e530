"""Near-duplicate images: perceptual hashes, confirmed by pixels."""
