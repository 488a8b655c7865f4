"""The record of a run: a folder that says everything, for whoever looks at it."""
