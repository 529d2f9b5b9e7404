"""Speed, memory and accuracy of the contrast against alternatives, from one run on one machine."""
