"""Sweeps of multi-task partially supervised dense prediction, and Region-aware Distribution Contrast."""

__version__ = "0.1.0"
