"""Data sets to samples: readers, the procedural `rooms`, label settings, augmentation, batches."""
