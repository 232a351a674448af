"""What the aggregator is told when it starts: command line and environment, parsed once. Pure.

AGGREGATOR_BACKENDS              name=url,name=url …  required, asked in this order
AGGREGATOR_GATEWAY_TIMEOUT_MS    when the gateway in front gives up; 30000
AGGREGATOR_BACKEND_DEADLINE_MS   for the rungs that have one; half the gateway's, 5000 at most
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import urlsplit

from aggregator.policies import POLICIES
from aggregator.rungs import COMING, RUNGS, policies_of

DEFAULT_GATEWAY_TIMEOUT_MS: Final = 30_000.0
LARGEST_DEFAULT_DEADLINE_MS: Final = 5_000.0
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class SettingsError(Exception):
    """The message says what is wrong and what would do."""


@dataclass(frozen=True, slots=True)
class BackendAddress:
    name: str
    url: str
    """Without a slash at the end."""


@dataclass(frozen=True, slots=True)
class Settings:
    rung: str
    policies: frozenset[str]
    backends: tuple[BackendAddress, ...]
    deadline_ms: float
    gateway_timeout_ms: float
    host: str
    port: int


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def parse_settings(argv: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Raises SettingsError; SystemExit(0) after `--help`."""
    parser = _Parser(prog="python -m aggregator", description="One question for offers, many backends asked.")
    rungs = "; ".join(f"{rung.name}: {rung.tells}" for rung in RUNGS)
    parser.add_argument("--rung", required=True, help=f"{rungs} (coming: {', '.join(COMING)})")
    parser.add_argument("--without", action="append", default=[], metavar="POLICY", help=", ".join(POLICIES))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0: a free one, told in the first log line")
    args = parser.parse_args(argv)
    try:
        policies = policies_of(args.rung, tuple(args.without))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if not 0 <= args.port < 65_536:
        raise SettingsError(f"--port {args.port} is not a port")
    gateway_ms = _duration_ms(env, "AGGREGATOR_GATEWAY_TIMEOUT_MS", DEFAULT_GATEWAY_TIMEOUT_MS)
    default_ms = min(gateway_ms / 2, LARGEST_DEFAULT_DEADLINE_MS)
    return Settings(
        rung=args.rung,
        policies=policies,
        backends=parse_backends(env.get("AGGREGATOR_BACKENDS", "")),
        deadline_ms=_duration_ms(env, "AGGREGATOR_BACKEND_DEADLINE_MS", default_ms),
        gateway_timeout_ms=gateway_ms,
        host=args.host,
        port=args.port,
    )


def parse_backends(text: str) -> tuple[BackendAddress, ...]:
    """The backends in `azure=http://127.0.0.1:9001,gcp=…`. Raises SettingsError."""
    example = "write AGGREGATOR_BACKENDS as azure=http://127.0.0.1:9001,gcp=http://127.0.0.1:9002"
    backends: dict[str, BackendAddress] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, url = entry.partition("=")
        if not _NAME.fullmatch(name):
            raise SettingsError(f"`{entry}` names no backend; {example}")
        if name in backends:
            raise SettingsError(f"AGGREGATOR_BACKENDS names `{name}` twice")
        if not _is_http(url):
            raise SettingsError(f"`{url}` is no http or https address for backend `{name}`; {example}")
        backends[name] = BackendAddress(name, url.rstrip("/"))
    if not backends:
        raise SettingsError(f"no backends are set; {example}")
    return tuple(backends.values())


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is none
        return False


def _duration_ms(env: Mapping[str, str], name: str, default_ms: float) -> float:
    text = env.get(name, "")
    if not text:
        return default_ms
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name}={text} is not a number of milliseconds above zero")
    return value
