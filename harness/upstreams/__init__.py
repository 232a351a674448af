"""Upstreams: one kind per file, listed in `kinds`. How canaries ask each kind is in `probes`.

Nothing is imported here: the supervisor and the fakes need parts of this package, and not the models of scenarios.
"""
