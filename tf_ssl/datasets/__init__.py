"""Where images and labels are: readers list examples, decode nothing."""
