"""Features of many images: computed once, stored on disk, resumable."""
