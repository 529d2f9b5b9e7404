"""Data sets to samples: readers, label settings, augmentation, batches, loading."""
