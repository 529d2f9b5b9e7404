"""The Slurm executor: submits runs as arrays of jobs; the shared disk and Slurm alone know how they stand."""
