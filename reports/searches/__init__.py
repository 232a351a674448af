"""The pages of searches over loads."""
