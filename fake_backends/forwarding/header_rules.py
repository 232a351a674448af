"""Which headers a forwarder passes on, and how a redirect to the origin leads to the listener. Pure.

Headers that belong to one connection stay there (RFC 9110, section 7.6.1). There is no Via, because the service and its
partner shall see what they would see of each other without us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from fake_backends.forwarding.content_coding import only_readable
from harness.correlation import TRACE_HEADER, seq_of
from harness.rundir.planned.forwarding import DEFAULT_PORTS, ForwardSpec

Headers = list[tuple[bytes, bytes]]
Bypass = Literal["redirect", "link"]
"""What in an answer's headers can lead a service past the listener: see `Links.rewritten`."""
Codings = Literal["any", "readable", "none"]
"""`readable`: those that `content_coding` can look into."""

_OF_CONNECTION: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_OURS: Final = b"x-tailgate-"
_TRACE: Final = TRACE_HEADER.encode()
_REDIRECTS: Final = (b"location", b"content-location")


def towards_origin(
    headers: Iterable[tuple[bytes, bytes]], spec: ForwardSpec, run: str, *, codings: Codings = "any"
) -> Headers:
    """The headers of a request as the origin gets them; names are in lower case. `run`: the hash of the run, whose own
    headers stay here.
    `codings`: how the origin may compress its answer, of the ways that the service accepts."""
    held = list(headers)
    dropped = _OF_CONNECTION | _named_in_connection(held) | {b"host", b"expect"}
    if codings == "none":
        dropped |= {b"accept-encoding"}
    kept = [
        (name, only_readable(value) if name == b"accept-encoding" and codings == "readable" else value)
        for name, value in held
        if name not in dropped
        and not name.startswith(_OURS)
        and not (name == _TRACE and seq_of(run, value.decode("latin-1")) is not None)
    ]
    if any(name == b"transfer-encoding" for name, _ in held):
        kept = [(name, value) for name, value in kept if name != b"content-length"]  # RFC 9112, section 6.3
        kept.append((b"transfer-encoding", b"chunked"))
    if codings == "none":
        kept.append((b"accept-encoding", b"identity"))
    return [(b"host", spec.authority.encode()), *kept]


def towards_service(headers: Headers, status: int, *, closes: bool) -> Headers:
    """The headers of an answer as the service gets them."""
    dropped = _OF_CONNECTION | _named_in_connection(headers)
    if status in (204, 304):
        dropped |= {b"content-length"}  # nothing follows such a head, whatever length it names
    kept = [(name, value) for name, value in headers if name not in dropped]
    return [*kept, (b"connection", b"close")] if closes else kept


class Links:
    """Links of one origin in its answers. `pattern` finds one in a body, in JSON with escaped slashes as well."""

    LONGEST: Final = 512
    """Bytes: no link in a body is looked for across a longer distance."""

    def __init__(self, spec: ForwardSpec) -> None:
        host = re.escape(f"[{spec.host}]" if ":" in spec.host else spec.host)
        own = spec.port == DEFAULT_PORTS[spec.scheme]
        port = f"(?::{spec.port})?(?![:\\w])" if own else f":{spec.port}(?!\\d)"
        self._absolute = re.compile(rf"(?i)(?:{spec.scheme}:)?//{host}{port}".encode())
        self.pattern = re.compile(rf"(?i)(?://|\\/\\/){host}{port}".encode())

    def rewritten(self, headers: Headers, listener: bytes) -> tuple[Headers, frozenset[Bypass]]:
        """The headers with redirects to the origin turned to `listener` (`http://127.0.0.1:9001`), and how those that
        are left can lead the service past the listener: by a redirect to another host, or by a `Link` to the origin,
        which is not rewritten."""
        bypasses: set[Bypass] = set()
        found: Headers = []
        for name, value in headers:
            if name in _REDIRECTS:
                match = self._absolute.match(value)
                absolute = re.match(rb"(?i)https?://|//", value) is not None
                if absolute and not match and not value.startswith(listener):
                    bypasses.add("redirect")
                found.append((name, listener + value[match.end() :] if match else value))
            else:
                if name == b"link" and self.pattern.search(value):
                    bypasses.add("link")
                found.append((name, value))
        return found, frozenset(bypasses)


def _named_in_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    tokens = (token for name, value in headers if name == b"connection" for token in value.split(b","))
    return frozenset(token.strip().lower() for token in tokens)
