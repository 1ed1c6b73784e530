"""Small shared tools: files, child processes, progress, boxes, pixels."""
