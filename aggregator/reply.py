"""An answer as HTTP has it: status, body, headers; and how it is sent in ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aggregator.answer import Answer, Result
from aggregator.policies.unavailable import RETRY_AFTER_S
from aggregator.problem import CONTENT_TYPE, Kind, problem

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

JSON: Final = b"application/json"
RETRY_AFTER: Final = (b"retry-after", str(RETRY_AFTER_S).encode())


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send, *, request_id: str, head_only: bool) -> None:
        """Of a HEAD request, the headers of the answer that GET would get, and no body."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head_only else self.body})


def refusal(
    kind: Kind, detail: str, path: str, request_id: str, *, parameter: str = "", headers: tuple[Any, ...] = ()
) -> Reply:
    return Reply(kind.status, problem(kind, detail, path, request_id, parameter), CONTENT_TYPE, headers)


def offers_reply(answer: Answer, request_id: str) -> Reply:
    """A 503 has the whole document as well: it says who is missing, and why."""
    document = {
        "offers": answer.offers,
        "next_cursor": answer.next_cursor,
        "partial": answer.is_partial,
        "missing": [{"backend": result.backend, "reason": result.reason} for result in answer.missing],
        "backends": {result.backend: _source(result) for result in answer.wanted},
        "request_id": request_id,
    }
    timing = (b"server-timing", server_timing(answer.results))
    if answer.is_unavailable:
        return Reply(
            503, orjson.dumps(document), headers=(timing, (b"retry-after", str(answer.retry_after_s).encode()))
        )
    return Reply(200, orjson.dumps(document), headers=(timing,))


def _source(result: Result) -> dict[str, Any]:
    """Where a backend's offers come from: from it now (`live`), from its last answer (`stale`), from nowhere."""
    if result.reason is None:
        return {"source": "live"}
    if result.age_s is None:
        return {"source": "none", "reason": result.reason}
    return {"source": "stale", "reason": result.reason, "age_s": round(result.age_s, 1)}


def server_timing(results: Iterable[Result]) -> bytes:
    """`azure;dur=1000.2;desc="timeout", gcp;dur=61.9`: milliseconds for each backend that was asked."""
    parts = []
    for result in results:
        part = f"{result.backend};dur={result.elapsed_s * 1000:.1f}"
        parts.append(f'{part};desc="{result.reason}"' if result.reason else part)
    return ", ".join(parts).encode()
