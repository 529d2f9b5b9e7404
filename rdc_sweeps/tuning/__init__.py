"""Studies: configurations of a row tried one after another by Optuna, each trial an ordinary run."""
