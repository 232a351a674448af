"""Applies faults to upstreams, verifies them, and removes them again."""
