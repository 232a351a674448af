"""The request and the response of a fake, and what a provider is: a function from the one to the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self
from urllib.parse import parse_qs

from harness.rundir.plan import FakeSpec


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

    @classmethod
    def of_json(cls, status: int, body: bytes) -> Self:
        headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
        return cls(status, headers, body)

    @classmethod
    def of_error(cls, status: int, message: str) -> Self:
        """The answer to a call that the provider does not have."""
        return replace(cls.of_json(status, json.dumps({"error": message}).encode()), matched=False)


class Provider(Protocol):
    """What one fake answers. It knows neither time nor faults: the server adds latency, queues, breakage and records.

    Everything that it answers follows from the upstream's name, the fake's settings in the plan and the seed.
    """

    name: ClassVar[str]
    """As scenarios write it in `provider`."""
    speaks: ClassVar[str]
    """The calls it answers, for people: `GET /offers?cursor=`."""
    health: ClassVar[IncomingRequest]
    """The request that a canary stands for. Its answer has status 200 and contains the marker
    (`fake_backends.catalog`)."""

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None: ...

    @property
    def empty(self) -> Response:
        """A right answer with nothing in it, as if there were no data: the fault `empty` sends it."""

    def respond(self, request: IncomingRequest) -> Response:
        """The answer if no fault changes it; the same request gets the same answer. It must not block."""
