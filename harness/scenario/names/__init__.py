"""Checks that everything a scenario refers to exists: upstreams, faults, requests, phases, files."""
