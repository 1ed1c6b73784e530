"""Object detection: RetinaNet on an encoder, COCO metrics."""
