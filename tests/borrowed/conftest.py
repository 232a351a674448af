"""The real server of the tests of Toxiproxy's client."""

from __future__ import annotations

from tests.toxiproxy.conftest import toxiproxy

__all__ = ["toxiproxy"]
