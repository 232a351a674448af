"""Sessions that sign in before the load, are shared by its requests, and are renewed beside it."""
