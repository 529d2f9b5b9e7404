"""Ten thousand runs: planned, and carried out by short-lived workers that die at random."""
