"""Checks whether runs can train on this machine; the output can be pasted into a bug report."""
