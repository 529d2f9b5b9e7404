"""Ten thousand runs: planned, and executed by short-lived workers that die at random."""
