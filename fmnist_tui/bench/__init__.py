"""Benchmarks of this program on this machine, each side in its own process."""

# The limit of each process.
TIMEOUT_SECONDS = 900
