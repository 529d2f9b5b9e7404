"""Savings and costs of tuning, on simulated trainings with known outcomes or, on request, in real studies."""
