"""The shape of Vast.ai: `POST /api/v0/bundles/`, with filters in its JSON body, answers `{"offers": […]}`.

A filter is applied if offers have its field, and so is `limit`. `order` and everything else is ignored, and there are
no pages. Vast.ai's ids are numbers. Here an id is the instance name, because clients name an offer by its id, and so
the marker passes through them. A spot row can be bid for, at its own price.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from fake_backends.catalog import Offer, make_catalog
from fake_backends.providers.exchange import IncomingRequest, Response
from harness.rundir.planned.upstream import FakeSpec

PATH: Final = "/api/v0/bundles/"
GPU_NAMES: Final[Mapping[str, str]] = {
    "A100": "A100 SXM4",
    "H100": "H100 SXM",
    "T4": "Tesla T4",
    "V100": "Tesla V100",
    "RTX4090": "RTX 4090",
}
"""As Vast.ai writes them, if that differs."""
STORAGE_DOLLARS_A_MONTH: Final = 0.1  # for a gigabyte; part of a row's price
HOURS_A_MONTH: Final = 30 * 24
ANSWERS_KEPT: Final = 16
"""A load sends the same few requests over and over; from its second time on, each is answered from stored bytes."""
QUESTION_BYTES_KEPT: Final = 4096

_NOT_FOUND: Final = Response.of_error(404, f"the vastai provider has POST {PATH} only")
_NOT_ALLOWED: Final = Response.of_error(405, f"{PATH} takes POST only")
_BAD_BODY: Final = Response.of_error(400, 'the body is a JSON object of filters, such as {"num_gpus": {"gte": 2}}')
_EMPTY: Final = Response.of_json(200, b'{"offers":[]}')

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
    "gte": operator.ge,
    "gt": operator.gt,
    "in": lambda value, among: value in among,
    "notin": lambda value, among: value not in among,
}


class VastAI:
    name: ClassVar = "vastai"
    speaks: ClassVar = f"POST {PATH}"
    health: ClassVar = IncomingRequest("POST", PATH)
    empty: ClassVar = _EMPTY

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        rows = make_catalog(seed, upstream, spec.rows)
        self._offers = [_offer(number, row) for number, row in enumerate(rows)]
        self._encoded = [orjson.dumps(offer) for offer in self._offers]
        self._first = _answer(self._encoded)
        self._kept: dict[bytes, Response] = {}

    def respond(self, request: IncomingRequest) -> Response:
        if request.path != PATH:
            return _NOT_FOUND
        if request.method != "POST":
            return _NOT_ALLOWED
        if not request.body:
            return self._first
        kept = self._kept.get(request.body)
        return kept if kept is not None else self._filtered(request.body)

    def _filtered(self, body: bytes) -> Response:
        try:
            chosen = self._chosen(orjson.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):  # no JSON, or no filters
            return _BAD_BODY
        answer = self._first if len(chosen) == len(self._encoded) else _answer(chosen)
        if len(body) <= QUESTION_BYTES_KEPT:
            while len(self._kept) >= ANSWERS_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[body] = answer
        return answer

    def _chosen(self, filters: dict[str, Any]) -> list[bytes]:
        """Raises as Python does if these are no filters: a comparison with another type, an unknown operator."""
        known = self._offers[0] if self._offers else {}
        tests = [
            (field, _OPERATORS[name], value)
            for field, constraints in filters.items()
            if field in known
            for name, value in constraints.items()
        ]
        chosen = [
            encoded
            for offer, encoded in zip(self._offers, self._encoded, strict=True)
            if all(offer[field] is not None and holds(offer[field], value) for field, holds, value in tests)
        ]
        limit = filters.get("limit")
        return chosen if limit is None else chosen[: max(0, int(limit))]


def _answer(encoded: Sequence[bytes]) -> Response:
    return Response.of_json(200, b'{"offers":[' + b",".join(encoded) + b"]}")


def _offer(number: int, row: Offer) -> dict[str, Any]:
    storage = row["disk_size"] * STORAGE_DOLLARS_A_MONTH / HOURS_A_MONTH
    base = round(row["price"] - storage, 6)
    return {
        "id": row["instance_name"],
        "machine_id": 10_000 + number,
        "host_id": 1_000 + number // 8,
        "hosting_type": 1,
        "verification": "verified",
        "reliability2": 0.998,
        "rentable": True,
        "rented": False,
        "geolocation": row["location"],
        "num_gpus": row["gpu_count"],
        "gpu_name": GPU_NAMES.get(row["gpu_name"], row["gpu_name"]),
        "gpu_ram": round(row["gpu_memory"] * 1024),
        "cpu_cores": row["cpu"],
        "cpu_cores_effective": float(row["cpu"]),
        "cpu_ram": round(row["memory"] * 1000),
        "disk_space": row["disk_size"],
        "storage_cost": STORAGE_DOLLARS_A_MONTH,
        "dph_base": base,
        "dph_total": row["price"],
        "min_bid": base if row["spot"] else None,
    }
