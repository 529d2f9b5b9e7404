"""Watching runs and ending them from outside, by their directories and the batch system's queue."""
