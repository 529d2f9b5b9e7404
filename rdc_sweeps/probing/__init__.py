"""What a cross-task term looks at: its value and its gradient, against labels that its training does not see."""
