"""A run as one HTML page that stands alone: gathered from its record, written without a script."""
