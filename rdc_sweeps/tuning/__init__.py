"""Studies: Optuna tries configurations of a row, each trial an ordinary run for each seed."""
