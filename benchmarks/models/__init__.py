"""Costs of the networks."""
