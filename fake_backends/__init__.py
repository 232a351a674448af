"""Fake backends: many upstreams in one process, each with a catalog, a latency and a record of calls.

It is started as a process (`python -P -m fake_backends RUN_DIR`) and told everything by plan.json. It
breaks nothing by itself: the supervisor puts the plan's faults on it and takes them back (`control`).
"""
