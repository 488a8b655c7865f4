"""Searching for good settings: what is varied, where trials are kept, how they stand. No torch."""
