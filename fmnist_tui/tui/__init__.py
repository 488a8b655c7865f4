"""The dashboard: textual lives here and nowhere else, torch never."""
