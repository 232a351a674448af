"""The shape of Lambda: `GET /api/v1/instance-types` answers `{"data": {NAME: {"instance_type": {…}, …}}}`.

One answer has all types; there are no pages. `GET /api/v1/images` exists because clients learn the regions from it.
Prices are whole cents. Lambda has no spot machines, so no offer shows as spot.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import orjson

from fake_backends.catalog import Offer, make_catalog
from fake_backends.providers.exchange import IncomingRequest, Response
from harness.rundir.planned.upstream import FakeSpec

TYPES_PATH: Final = "/api/v1/instance-types"
IMAGES_PATH: Final = "/api/v1/images"
GB_A_GIB: Final = 1.073741824

_NOT_FOUND: Final = Response.of_error(404, f"the lambda provider has GET {TYPES_PATH} and GET {IMAGES_PATH} only")
_NOT_ALLOWED: Final = Response.of_error(405, "this path takes GET only")
_EMPTY: Final = Response.of_json(200, b'{"data":{}}')


class LambdaLabs:
    name: ClassVar = "lambda"
    speaks: ClassVar = f"GET {TYPES_PATH} and GET {IMAGES_PATH}"
    health: ClassVar = IncomingRequest("GET", TYPES_PATH)
    empty: ClassVar = _EMPTY

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        rows = make_catalog(seed, upstream, spec.rows)
        types = {row["instance_name"]: _type(row) for row in rows}
        images = [_image(number, region) for number, region in enumerate(sorted({row["location"] for row in rows}))]
        self._by_path = {
            TYPES_PATH: Response.of_json(200, orjson.dumps({"data": types})),
            IMAGES_PATH: Response.of_json(200, orjson.dumps({"data": images})),
        }

    def respond(self, request: IncomingRequest) -> Response:
        found = self._by_path.get(request.path, _NOT_FOUND)
        return found if request.method == "GET" or found is _NOT_FOUND else _NOT_ALLOWED


def _type(row: Offer) -> dict[str, Any]:
    gpu = f"{row['gpu_name']} ({row['gpu_memory']:.0f} GB)"
    return {
        "instance_type": {
            "name": row["instance_name"],
            "description": f"{row['gpu_count']}x {gpu}",
            "gpu_description": gpu,
            "price_cents_per_hour": round(row["price"] * 100),
            "specs": {
                "vcpus": row["cpu"],
                "memory_gib": round(row["memory"]),
                "storage_gib": round(row["disk_size"] / GB_A_GIB),
                "gpus": row["gpu_count"],
            },
        },
        "regions_with_capacity_available": [_region(row["location"])],
    }


def _image(number: int, region: str) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "name": "lambda-stack-22-04",
        "description": "Lambda Stack on Ubuntu 22.04",
        "family": "lambda-stack-22-04",
        "version": "22.4.3",
        "architecture": "x86_64",
        "created_time": "2025-01-01T00:00:00+00:00",
        "updated_time": "2025-01-01T00:00:00+00:00",
        "region": _region(region),
    }


def _region(name: str) -> dict[str, str]:
    return {"name": name, "description": name}
