"""Toxiproxy from outside: find it, install it, serve it, speak to its admin API, sweep what was left on it."""
