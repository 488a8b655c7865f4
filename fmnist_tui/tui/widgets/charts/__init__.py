"""Charts that are read with a cursor, zoomed and moved."""
