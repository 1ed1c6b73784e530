"""Where videos are: files, frame folders, archives, manifests."""
