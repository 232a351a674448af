"""The Locust side of a run: sends the planned arrivals and records what became of each.

The only code that imports locust and gevent. It decides nothing about the service; it writes
`samples-<worker>.bin` and leaves. `command` is what everybody else may import.
"""
