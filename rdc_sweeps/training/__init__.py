"""The loop: optimisation, evaluation, checkpoints, exact resume."""
