"""Routes from an OpenAPI 3.0 or 3.1 description: operations answer by their examples, or samples of their schemas."""

from harness.upstreams.routes.openapi.operations import read_openapi

__all__ = ["read_openapi"]
