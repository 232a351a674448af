"""One load on the stack: its phases, its records, and the workers that send it."""
