"""Fake backends: many upstreams in one process, each with a catalog, a latency and a record of calls.

It is started as a process (`python -P -m fake_backends RUN_DIR`) and told everything by plan.json. It
breaks nothing by itself: faults come from the proxy in front of it, later from `behaviours`.
"""
