"""Long trials of what must never be lost: all with `make soak`, a few with `make test`."""
