"""Measurements of this program on the machine at hand, each side in a process of its own."""
