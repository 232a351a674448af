"""The words of a gate's text: what every kind reads it with, and what other tools call the same things."""
