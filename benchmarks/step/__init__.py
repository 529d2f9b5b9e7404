"""What a training step takes, beside the step of the released code, and where its time goes."""
