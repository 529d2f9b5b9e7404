"""Procedural data sets with exact labels: `rooms` and `streets`, drawn by one `engine`."""
