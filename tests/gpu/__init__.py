"""Tests that need an NVIDIA GPU. `make gpu` runs them; without a GPU they are skipped.

They import nothing but pytest besides the program's own dependencies, so that they run from a
plain checkout.
"""
