"""What tuning saves and costs, on trainings whose outcome is known beforehand; or, on request, a real study."""
