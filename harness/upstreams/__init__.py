"""Upstreams: one kind a file, listed in `kinds`, and how each is asked whether it lives, in `probes`.

Nothing is imported here: the supervisor and the fakes need parts of this room, and not the models of scenarios.
"""
