"""Images with boxes: COCO, VOC and box manifests as one type."""
