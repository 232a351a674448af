"""Which hosts load may be sent to: loopback, and those given by `--allow-target`. Others are refused before the
start."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from harness.errors import UsageError


def refuse_foreign_targets(urls: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises UsageError for the first host that is neither loopback nor in `allowed`."""
    for url in urls:
        host = urlsplit(url).hostname or ""
        if host not in allowed and not is_loopback(host):
            raise UsageError(
                f"{url} is not on this machine: tailgate would send load to {host}",
                f"if you own that host, add --allow-target {host}",
            )


def is_loopback(host: str) -> bool:
    """Whether every address of the host is a loopback one; a name that cannot be resolved is not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    import socket  # a late import, since most hosts are addresses

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)
