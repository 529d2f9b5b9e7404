"""Saved workspaces and reports at Weights & Biases, made from tables and studies and updated in place."""
