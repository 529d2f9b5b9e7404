"""Figures of runs: predictions, errors, regions, curves and classes."""
