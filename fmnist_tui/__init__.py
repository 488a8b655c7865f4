"""A terminal lab bench for image classifiers."""

__version__ = "0.1.0"
