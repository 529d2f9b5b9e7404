"""Weights & Biases: modes, the journal of a run, its upload."""
