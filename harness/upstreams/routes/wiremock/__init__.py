"""Stub mappings of WireMock as routes of a fake: a subset that is read exactly, and everything else refused by name."""

from harness.upstreams.routes.wiremock.stubs import read_wiremock

__all__ = ["read_wiremock"]
