"""What the networks cost."""
