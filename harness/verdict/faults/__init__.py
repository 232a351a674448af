"""The proof of each fault: whether it was active, whether the service met it, and why if it did not."""
