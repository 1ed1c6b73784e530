"""From raw video to frame pairs and region tracks."""
