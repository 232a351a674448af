"""One load on the stack: its course, its records, and the workers that send it."""
