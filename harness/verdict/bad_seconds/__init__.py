"""Seconds of a run that say nothing about the service: the load generator was late, or others took the cores."""
