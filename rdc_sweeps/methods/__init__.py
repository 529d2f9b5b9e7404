"""What is trained: the supervised losses, and the cross-task terms beside them."""
