"""Secrets: `${VAR}` expanded in memory, and redacted in everything that is written."""
