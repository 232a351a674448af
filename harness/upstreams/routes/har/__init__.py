"""Routes from a HAR recording: entries of its JSON, exchanges over HTTP, answers without secrets, routes of a host."""

from __future__ import annotations

from harness.upstreams.routes.har.reading import read_hosts

__all__ = ["read_hosts"]
