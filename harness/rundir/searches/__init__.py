"""The documents that searches over loads write, each in a module of its own."""
