"""Benchmarks of reading, converting and deriving data."""
