"""From files to one tree of values with positions: YAML, `extends`, `--set`, the catalog, and diagnostics on it."""
