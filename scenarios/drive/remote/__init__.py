"""Locust's master, and what its sockets need, for loads whose workers are on other machines."""
