"""Superpixel algorithms on real images with labels, at equal numbers of regions."""
