"""Benchmarks of this program on this machine, each side in its own process."""
