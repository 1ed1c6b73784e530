"""Images with boxes: COCO, VOC, Open Images and box manifests as one type."""
