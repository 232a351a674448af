"""The children of a run: how each is started, probed until it is ready, and ended."""
