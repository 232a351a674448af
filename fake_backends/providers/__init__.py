"""What a fake can answer, one provider per file. A new one needs its file and its line in PROVIDERS."""

from __future__ import annotations

from typing import Final

from fake_backends.providers.exchange import IncomingRequest, Provider, Response
from fake_backends.providers.generic import Generic
from fake_backends.providers.lambdalabs import LambdaLabs
from fake_backends.providers.routed import Routed
from fake_backends.providers.vastai import VastAI
from fake_backends.providers.vultr import Vultr

__all__ = ["PROVIDERS", "IncomingRequest", "Provider", "Response", "Routed", "provider_named"]

PROVIDERS: Final[tuple[type[Provider], ...]] = (
    Generic,
    VastAI,
    LambdaLabs,
    Vultr,
)


def provider_named(name: str) -> type[Provider]:
    """Raises ValueError that lists the known providers."""
    for known in PROVIDERS:
        if known.name == name:
            return known
    raise ValueError(f"no provider is called `{name}`; known: {', '.join(known.name for known in PROVIDERS)}")
