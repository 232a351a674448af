"""From files to one tree of values with positions: `extends`, `--set`, the catalog, and diagnostics on it."""
