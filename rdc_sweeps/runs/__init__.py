"""The run directory: its states, locks, records and results."""
