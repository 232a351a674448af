"""Sends the scenario's own requests by libcurl: no greenlet, response object or event for each of them.

`sender` is what the open model uses; only this package imports pycurl.
"""
