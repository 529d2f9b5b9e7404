"""Runs as arrays of Slurm jobs; their state is on the shared disk and in Slurm alone."""
