"""What this machine has and lacks for training here, as lines that can be pasted into a question."""
