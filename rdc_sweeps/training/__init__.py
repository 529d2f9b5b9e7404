"""Training: the loop, optimisation, evaluation, checkpoints and exact resume."""
