"""Parts of results.json that have a module of their own."""
