"""Processes: stop signals, children from a fork server, and which GPUs each may use."""
