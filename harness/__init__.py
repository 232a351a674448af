"""tailgate: load testing and fault injection for services that fan out."""

__version__ = "0.1.0"
