"""Routes from an OpenAPI 3.0 or 3.1 description: each operation answers by its example, or by a sample of its schema."""

from harness.upstreams.routes.openapi.operations import read_openapi

__all__ = ["read_openapi"]
