"""The Locust workers of a run: they send the planned arrivals and record how each ended.

Only this package imports locust and gevent. A worker writes `samples-<worker>.bin` and exits; it does not judge the
service. Other packages may import `command` only.
"""
