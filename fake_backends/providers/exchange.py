"""The request and the response of a fake, and what a provider is: a function from the one to the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Protocol, Self
from urllib.parse import parse_qs, parse_qsl

import orjson

from harness.rundir.planned.routes import BrokenAnswer
from harness.rundir.planned.upstream import FakeSpec

QUERY_PAIRS_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """One call of the service. `query` is as it was sent, without `?`; header names are in lower case.

    `body` has at most `fake_backends.server.BODY_BYTES_MAX` bytes.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    raw_path: str = ""
    """The path as it was sent, percent-encoded; empty if it is the same as `path`."""
    seq: int | None = None
    """The number of the arrival that the call belongs to, if that is known."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The decoded names and values of the query, in order; empty if there are more than QUERY_PAIRS_MOST."""
        try:
            query = self.query.decode("latin-1")
            return parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_PAIRS_MOST)
        except ValueError:
            return []

    @property
    def cursor(self) -> str:
        """The `cursor` of the query string; empty if there is none."""
        return parse_qs(self.query.decode("latin-1"), keep_blank_values=True).get("cursor", [""])[-1]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP answer. If it is built once and sent many times, a call costs microseconds."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    matched: bool = True
    """False: the provider has nothing like what was asked for. Such an answer is sent at once and counted as
    unmatched."""
    route: int = 0
    """The number of the route that answers, of a fake with routes; see `Provider.latencies`."""
    broken: BrokenAnswer | None = None
    """How the connection breaks in place of this answer; None: it is sent."""

    @classmethod
    def of_json(cls, status: int, body: bytes) -> Self:
        headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
        return cls(status, headers, body)

    def emptied(self) -> Response:
        """The same answer with nothing in it: every list of its JSON document is empty, and a body that is no JSON
        document has no byte."""
        try:
            body = orjson.dumps(_without_entries(orjson.loads(self.body)))
        except orjson.JSONDecodeError:
            body = b""
        others = tuple(header for header in self.headers if header[0].lower() != b"content-length")
        headers = (*others, (b"content-length", str(len(body)).encode())) if self.body else self.headers
        return replace(self, headers=headers, body=body, broken=None)

    @classmethod
    def of_error(cls, status: int, message: str) -> Self:
        """The answer to a call that the provider does not have."""
        return replace(cls.of_json(status, json.dumps({"error": message}).encode()), matched=False)


def _without_entries(document: Any) -> Any:
    if isinstance(document, list):
        return []
    if isinstance(document, dict):
        return {key: _without_entries(value) for key, value in document.items()}
    return document


class Provider(Protocol):
    """What one fake answers. It knows neither time nor faults: the server adds latency, queues, breakage and records.

    Everything that it answers follows from the upstream's name, the fake's settings in the plan and the seed.
    """

    name: ClassVar[str]
    """As scenarios write it in `provider`."""
    health: ClassVar[IncomingRequest]
    """The request that a canary stands for. Its answer has status 200 and contains the marker
    (`fake_backends.catalog`)."""

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None: ...

    @property
    def speaks(self) -> str:
        """The calls it answers, for people: `GET /offers?cursor=`."""

    @property
    def empty(self) -> Response | None:
        """A right answer with nothing in it, as if there were no data: the fault `empty` sends it. None: it is made
        from the healthy answer, by `Response.emptied`."""

    def respond(self, request: IncomingRequest) -> Response:
        """The answer if no fault changes it. It must not block."""
