"""What commands cost as a folder of runs grows: CPU time and memory, with fitted exponents."""
