"""Watching and cancelling runs from outside, by their directories and the queue of the batch system."""
