"""Calling backends: clients, pages, and the connections between them."""
