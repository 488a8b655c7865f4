"""Hyperparameter sweeps: the search space, where studies are stored, their trials. No torch."""
