"""The aggregator's settings: command line and environment, parsed once at the start. Pure.

AGGREGATOR_BACKENDS              name=url,name=url …  required, asked in this order
AGGREGATOR_GATEWAY_TIMEOUT_MS    when the gateway in front gives up; 30000
AGGREGATOR_BACKEND_DEADLINE_MS   for the rungs that have one; half the gateway's, 5000 at most
AGGREGATOR_RETRIES               habit: ask again at once after an error, so many times; 0
AGGREGATOR_SESSIONS              habit: so many database sessions, one held by each request; 0 = none needed
AGGREGATOR_SESSION_WAIT_MS       how long a request waits for one; 30000
AGGREGATOR_READ_TIMEOUT_MS       habit: give up on a backend when no byte came for so long; 0 = never
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import urlsplit

from aggregator.antipatterns import NO_ANTIPATTERNS, Antipatterns
from aggregator.policies import POLICIES
from aggregator.rungs import RUNGS, policies_of

DEFAULT_GATEWAY_TIMEOUT_MS: Final = 30_000.0
LARGEST_DEFAULT_DEADLINE_MS: Final = 5_000.0
CLIENTS: Final = ("aiohttp", "httpx")
RETRIES_MAX: Final = 100
SESSIONS_MAX: Final = 100_000
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
    client: str
    """One of CLIENTS; nothing to the policy `threads`, which has its own."""
    backends: tuple[BackendAddress, ...]
    deadline_ms: float
    gateway_timeout_ms: float
    habits: Antipatterns
    host: str
    port: int


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def parse_settings(argv: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Raises SettingsError; SystemExit(0) after `--help`."""
    parser = _Parser(prog="python -m aggregator", description="One question for offers, many backends asked.")
    rungs = "; ".join(f"{rung.name}: {rung.summary}" for rung in RUNGS)
    parser.add_argument("--rung", required=True, help=rungs)
    known = ", ".join(POLICIES)
    parser.add_argument("--without", action="append", default=[], metavar="POLICY", help=f"switch one off: {known}")
    parser.add_argument("--with", action="append", default=[], metavar="POLICY", dest="also", help="add one of them")
    client = "transport of the async client: aiohttp without limits (the default), httpx with its pool of 100"
    parser.add_argument("--client", choices=CLIENTS, help=client)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0: a free one, named in the first log line")
    args = parser.parse_args(argv)
    try:
        policies = policies_of(args.rung, args.without, args.also)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if args.client and "threads" in policies:
        raise SettingsError("the policy `threads` has a blocking client of its own; remove --client")
    if not 0 <= args.port < 65_536:
        raise SettingsError(f"--port {args.port} is not a port")
    gateway_ms = _duration_ms(env, "AGGREGATOR_GATEWAY_TIMEOUT_MS", DEFAULT_GATEWAY_TIMEOUT_MS)
    default_ms = min(gateway_ms / 2, LARGEST_DEFAULT_DEADLINE_MS)
    return Settings(
        rung=args.rung,
        policies=policies,
        client=args.client or CLIENTS[0],
        backends=parse_backends(env.get("AGGREGATOR_BACKENDS", "")),
        deadline_ms=_duration_ms(env, "AGGREGATOR_BACKEND_DEADLINE_MS", default_ms),
        gateway_timeout_ms=gateway_ms,
        habits=Antipatterns(
            retries=_count(env, "AGGREGATOR_RETRIES", RETRIES_MAX),
            sessions=_count(env, "AGGREGATOR_SESSIONS", SESSIONS_MAX),
            session_wait_ms=_duration_ms(env, "AGGREGATOR_SESSION_WAIT_MS", NO_ANTIPATTERNS.session_wait_ms),
            read_timeout_ms=_duration_ms(
                env, "AGGREGATOR_READ_TIMEOUT_MS", NO_ANTIPATTERNS.read_timeout_ms, may_be_none=True
            ),
        ),
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


def _duration_ms(env: Mapping[str, str], name: str, default_ms: float, *, may_be_none: bool = False) -> float:
    """`may_be_none`: zero is a value too, and means that there is none."""
    text = env.get(name, "")
    if not text:
        return default_ms
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (may_be_none and value == 0)):
        or_zero = ", or zero for none" if may_be_none else ""
        raise SettingsError(f"{name}={text} is not a number of milliseconds above zero{or_zero}")
    return value


def _count(env: Mapping[str, str], name: str, most: int) -> int:
    text = env.get(name, "") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise SettingsError(f"{name}={text} is not a whole number from 0 to {most}")
    return int(text)
