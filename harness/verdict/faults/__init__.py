"""Whether each fault was really there, whether the service met it, and what is said where it did not."""
