"""Metrics, the meters that measure them, relative improvements and selection rules."""
