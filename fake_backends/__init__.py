"""Fake backends: many upstreams in one process, each with a catalog, a latency and a record of its calls.

It is started as a process (`python -P -m fake_backends RUN_DIR`) and takes all its settings from plan.json. It breaks
nothing by itself: the supervisor applies the plan's faults to it and lifts them (`control`).
"""
