"""What trainings cost on a device: distances, the loss, whole steps, the loader, and tables."""
