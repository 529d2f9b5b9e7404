"""Audit of a data root in MTAN's layout: what would train without an error, and yet be wrong."""
