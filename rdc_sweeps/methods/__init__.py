"""Training objectives: the supervised losses, and the cross-task terms added to them."""
