"""One file for each concern, with one `CONCERN`; a new file is a new line of the table."""
