"""Data sets to samples: readers, the procedural `rooms` and `streets`, label settings, augmentation, batches."""
