"""A program whose own text holds words that are upstreams' names too: `lambda`, `import`, `heapq`, a file `azure.py`.

`fail` raises what a service logs: an error in a backend's answer, met while offers are sorted.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass
class Offer:
    price: float


def merged(offers: list[list[Offer]]) -> list[Offer]:
    heapq = importlib.import_module("heapq")  # from gcp import offers
    return list(heapq.merge(*offers, key=lambda i: i.price))


def fail(message: str = "no answer in time") -> None:
    azure = [Offer(1.0)]
    broken: list[Offer] = [object()]  # type: ignore[list-item]
    try:
        merged([azure, broken])
    except AttributeError as exc:
        raise TimeoutError(message) from exc
