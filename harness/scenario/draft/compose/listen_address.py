"""Where a service listens: on all addresses in its container, on the loopback of this machine in a run. Pure."""

from __future__ import annotations

import re
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_ALL_ADDRESSES: Final = re.compile(
    r"(?<![\w.:/-])(?:0\.0\.0\.0|\[::\]|::(?=$|[\s'\"]))(?![\w./-])"  # --host 0.0.0.0, --bind=[::]:80
    r"|(?<=://)(?:0\.0\.0\.0|\[::\])(?![\w./-])"  # tcp://0.0.0.0:80
    r"|(?:(?<=^)|(?<=[=\s]))(?=:\d{2,5}$)"  # --addr :8080, as programs in Go take it
)
"""An address that means all of them, but not the network 0.0.0.0/0."""
_ONLY_ADDRESS: Final = re.compile(r"(?:[a-z]{2,10}://)?(?:0\.0\.0\.0|\[::\]|::|(?=:\d))(?::[^/]{1,20})?/?")


def on_loopback(word: str) -> str:
    """One word of a command with 127.0.0.1 in place of all addresses; the same word if it has none."""
    return _ALL_ADDRESSES.sub(LOOPBACK, word)


def value_on_loopback(value: str) -> str:
    """As `on_loopback`, for the value of a variable that is nothing but an address, such as `0.0.0.0:8000`."""
    return on_loopback(value) if _ONLY_ADDRESS.fullmatch(value) else value
