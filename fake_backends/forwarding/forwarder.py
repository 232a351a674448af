"""One real HTTP origin: the connections to it, what it answered last, and the answer that canaries get in its place."""

from __future__ import annotations

from typing import Final

from fake_backends.breaking import BreakableProtocol, transport_of
from fake_backends.catalog import marker
from fake_backends.forwarding.header_rules import Headers, Links
from fake_backends.forwarding.origin_connection import OriginConnection, OriginFailure, connect
from fake_backends.providers import Response
from fake_backends.response_writer import Message
from fake_backends.tls.origin_context import context_of
from harness.rundir.planned.forwarding import CANARY_BODY_BYTES, ForwardSpec

REMEMBERED_MOST: Final = 256
"""Requests whose latest answer is remembered."""
REMEMBERED_BYTES: Final = 64 * 1024
"""A larger answer is not remembered."""
_NOTHING: Final = Response.of_json(200, b"{}")
_JSON: Final = b"json"
_OF_ONE_BODY: Final = (b"content-length", b"content-encoding", b"connection")


class Forwarder:
    """`remembers`: some fault answers in the origin's place, in the shape of what it answered before.

    Raises RigError if its certificate authorities cannot be read.
    """

    def __init__(self, upstream: str, spec: ForwardSpec, run: str, *, remembers: bool = False) -> None:
        self.spec = spec
        self.run = run
        self.links = Links(spec)
        self.health = _health(upstream)
        self.remembers = remembers
        self._remembered: dict[tuple[str, str], Response] = {}
        self._context = context_of(spec)

    async def connection_for(self, scope: Message) -> OriginConnection:
        """The origin's connection that belongs to the one by which the request came. Raises OriginFailure."""
        client = transport_of(scope)
        protocol = client.get_protocol()
        if not isinstance(protocol, BreakableProtocol):  # only a test has another server
            raise TypeError("the forwarder needs BreakableProtocol")
        held = protocol.beyond
        if isinstance(held, OriginConnection) and held.is_usable:
            return held
        if held is not None:
            held.close()
        protocol.beyond = None
        made = await connect(self.spec, self._context, protocol.end_when_idle)
        if client.is_closing():
            made.close()
            raise OriginFailure("closed", "was not asked: the caller has left")
        protocol.beyond = made
        return made

    def last_answer(self, method: str, path: str) -> Response:
        """What the origin answered to the same method and path before; an empty JSON object where that is unknown."""
        return self._remembered.get((method, path), _NOTHING)

    def wants(self, status: int, headers: Headers) -> bool:
        """Whether such an answer is worth remembering."""
        fields = dict(headers)
        is_json = _JSON in fields.get(b"content-type", b"")
        return self.remembers and status == 200 and is_json

    def remember(self, method: str, path: str, status: int, headers: Headers, body: bytes) -> None:
        """`body`: without a content coding."""
        key = method, path
        if key not in self._remembered and len(self._remembered) >= REMEMBERED_MOST:
            del self._remembered[next(iter(self._remembered))]
        kept = [header for header in headers if header[0] not in _OF_ONE_BODY]
        length = (b"content-length", str(len(body)).encode())
        self._remembered[key] = Response(status, (*kept, length), body)


def _health(upstream: str) -> Response:
    """What canaries get: JSON with the mark of the upstream, of CANARY_BODY_BYTES."""
    text = '{"rows":[{"id":"canary' + marker(upstream) + '"}],"padding":"'
    return Response.of_json(200, (text + "-" * (CANARY_BODY_BYTES - len(text) - 2) + '"}').encode())
