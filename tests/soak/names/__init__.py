"""Hostile names, where they stand, and what may not happen to a terminal that shows them."""
