"""A plan of runs, and the executors that carry it out."""
