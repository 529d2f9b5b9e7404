"""Reports: finished runs as tables, beside the published numbers."""
