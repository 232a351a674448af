"""A small client for each provider's shape: how it asks for all there is, and whose names it finds in an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fake_backends.catalog import Offer, make_catalog
from fake_backends.providers import IncomingRequest, Provider, Response, provider_named
from harness.upstreams.providers import ProviderName
from tests.fake_backends.plans import fake

PAGES_MAX: Final = 1000


def provided(name: str, rows: int = 40, page: int = 0) -> tuple[tuple[Offer, ...], Provider]:
    """A provider of azure's catalog, and the catalog."""
    spec = fake(rows=rows, page=page, provider=name)
    return make_catalog(1, "azure", rows), provider_named(name)("azure", spec, seed=1)


def healthy(provider: Provider) -> Response:
    """What a canary gets."""
    return provider.respond(provider.health)


def ask(provider: Provider, method: str, path: str, query: bytes = b"", body: bytes = b"") -> Response:
    return provider.respond(IncomingRequest(method, path, query, body=body))


def document(answer: Response) -> dict[str, Any]:
    assert answer.status == 200
    assert dict(answer.headers) == {
        b"content-type": b"application/json",
        b"content-length": str(len(answer.body)).encode(),
    }
    parsed: dict[str, Any] = json.loads(answer.body)
    return parsed


def plain_names(names: list[str]) -> list[str]:
    """As the catalog has them: bare metal is called otherwise."""
    return [name.replace("vbm-", "gpu-", 1) if name.startswith("vbm-") else name for name in names]


@dataclass(frozen=True, slots=True)
class WireClient:
    """`names` and `following` read an answer: the instance names in it, and the query for the next page."""

    provider: ProviderName
    method: str
    paths: tuple[str, ...]
    names: Callable[[dict[str, Any]], list[str]]
    following: Callable[[dict[str, Any]], str] = lambda _document: ""

    def walk(self, provider: Provider) -> list[list[str]]:
        """The names on each page, every path to its end."""
        pages: list[list[str]] = []
        for path in self.paths:
            query = ""
            while True:
                answer = ask(provider, self.method, path, query.encode())
                assert answer.status == 200
                document = json.loads(answer.body)
                pages.append(self.names(document))
                query = self.following(document)
                if not query:
                    break
                assert len(pages) < PAGES_MAX, "its pages never end"
        return pages


def _generic_following(document: dict[str, Any]) -> str:
    return f"cursor={document['next_cursor']}" if document["next_cursor"] else ""


def _vultr_names(document: dict[str, Any]) -> list[str]:
    return [plan["id"] for plan in (*document.get("plans", ()), *document.get("plans_metal", ()))]


def _vultr_following(document: dict[str, Any]) -> str:
    cursor = document["meta"]["links"]["next"]
    return f"cursor={quote(cursor)}&per_page=500" if cursor else ""


CLIENTS: Final = (
    WireClient(
        "generic", "GET", ("/offers",), lambda document: [row["instance_name"] for row in document["offers"]],
        _generic_following,
    ),
    WireClient("vastai", "POST", ("/api/v0/bundles/",), lambda document: [row["id"] for row in document["offers"]]),
    WireClient("lambda", "GET", ("/api/v1/instance-types",), lambda document: list(document["data"])),
    WireClient("vultr", "GET", ("/v2/plans", "/v2/plans-metal"), _vultr_names, _vultr_following),
)  # fmt: skip
