"""Putting faults on upstreams, verifying them, and taking them away again."""
