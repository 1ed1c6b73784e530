"""From records to batches of views, in tf.data."""
