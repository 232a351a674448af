"""Processes that are started, and import what they need, before it is known what they will run."""
