"""Weights & Biases: modes, and the upload of a run's event log."""
