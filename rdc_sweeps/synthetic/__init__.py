"""Procedural data sets with exact labels: `rooms` and `streets`, rendered by one `engine`."""
