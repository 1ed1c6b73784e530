"""Images with per-pixel classes: ADE20K, CamVid, VOC, mask folders, COCO."""
