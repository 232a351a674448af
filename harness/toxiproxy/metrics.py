"""What Toxiproxy's /metrics says of the bytes that clients sent through each proxy. Pure.

A server has these counters only if it was started with `-proxy-metrics`. They move when a connection ends.
"""

from __future__ import annotations

import re
from typing import Final

LINES_MOST: Final = 100_000
_LINE: Final = re.compile(r"toxiproxy_proxy_received_bytes_total\{([^{}\n]{1,2000})\} ([0-9.eE+]{1,30})")
_LABEL: Final = re.compile(r'(direction|proxy)="((?:[^"\\]|\\.){0,500})"')


def received_by_proxy(text: str) -> dict[str, int]:
    """Bytes received from clients since the server started, by proxy. Empty: the server does not count them."""
    found: dict[str, int] = {}
    for line in text.splitlines()[:LINES_MOST]:
        if not (match := _LINE.fullmatch(line)):
            continue
        labels = dict(_LABEL.findall(match[1]))
        proxy = labels.get("proxy")
        if labels.get("direction") != "upstream" or proxy is None:
            continue
        try:
            count = int(float(match[2]))
        except (ValueError, OverflowError):
            continue
        name = re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], proxy)
        found[name] = found.get(name, 0) + count
    return found
