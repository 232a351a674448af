"""The shape of Vultr: `GET /v2/plans` and `GET /v2/plans-metal`, in pages linked by `meta.links.next`.

Every fourth row is bare metal, whose plans do not state their GPUs: clients know them by the plan's id. The ids here
are made up, so to a client they are machines without a GPU; they begin with `vbm-`, because clients give up on an
unknown id with `gpu` in it. The `page` of the scenario sets the size of the pages, `per_page` does not. Regions and
what is available in them exist for clients that have a key. No offer shows as spot.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import orjson

from fake_backends.catalog import Offer, make_catalog
from fake_backends.providers.exchange import IncomingRequest, Response
from harness.rundir.planned.upstream import FakeSpec

PLANS_PATH: Final = "/v2/plans"
METAL_PATH: Final = "/v2/plans-metal"
REGIONS_PATH: Final = "/v2/regions"
METAL_EVERY: Final = 4
HOURS_A_MONTH: Final = 672  # as Vultr bills it

_NOT_FOUND: Final = Response.of_error(404, f"the vultr provider has {PLANS_PATH}, {METAL_PATH} and {REGIONS_PATH} only")
_NOT_ALLOWED: Final = Response.of_error(405, "this path takes GET only")
_BAD_CURSOR: Final = Response.of_error(400, "this cursor is none that a page gave out")
_EMPTY: Final = Response.of_json(
    200, b'{"plans":[],"plans_metal":[],"regions":[],"meta":{"total":0,"links":{"next":"","prev":""}}}'
)


class Vultr:
    name: ClassVar = "vultr"
    speaks: ClassVar = f"GET {PLANS_PATH}, GET {METAL_PATH} and GET {REGIONS_PATH}"
    health: ClassVar = IncomingRequest("GET", PLANS_PATH)
    empty: ClassVar = _EMPTY

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        rows, page = make_catalog(seed, upstream, spec.rows), spec.page
        metal = [_metal(row) for number, row in enumerate(rows, 1) if number % METAL_EVERY == 0]
        plans = [_plan(row) for number, row in enumerate(rows, 1) if number % METAL_EVERY]
        regions = sorted({row["location"] for row in rows})
        self._by_path = {
            PLANS_PATH: _paged("plans", plans, page),
            METAL_PATH: _paged("plans_metal", metal, page),
            REGIONS_PATH: _paged("regions", [_region(name) for name in regions], 0),
        }
        for name in regions:
            here = [plan["id"] for plan in (*plans, *metal) if name in plan["locations"]]
            answer = Response.of_json(200, orjson.dumps({"available_plans": here}))
            self._by_path[f"{REGIONS_PATH}/{name}/availability"] = {"": answer}

    def respond(self, request: IncomingRequest) -> Response:
        pages = self._by_path.get(request.path)
        if pages is None:
            return _NOT_FOUND
        if request.method != "GET":
            return _NOT_ALLOWED
        return pages.get(request.cursor, _BAD_CURSOR)


def _paged(key: str, items: Sequence[dict[str, Any]], page: int) -> dict[str, Response]:
    """The pages by the cursors that lead to them: forwards by the page's first id, back by the first id of the page
    after it."""
    size = page or len(items) or 1
    starts = range(0, len(items) or 1, size)
    by_cursor: dict[str, Response] = {}
    for start in starts:
        following, before = start + size, start - size
        links = {
            "next": _cursor("next", items[following]) if following < len(items) else "",
            "prev": _cursor("prev", items[start]) if before >= 0 else "",
        }
        document = {key: items[start:following], "meta": {"total": len(items), "links": links}}
        answer = Response.of_json(200, orjson.dumps(document))
        by_cursor[_cursor("next", items[start]) if start else ""] = answer
        if following < len(items):
            by_cursor[_cursor("prev", items[following])] = answer
    return by_cursor


def _cursor(way: str, item: dict[str, Any]) -> str:
    return b64encode(f"{way}__{item['id']}".encode()).decode()


def _plan(row: Offer) -> dict[str, Any]:
    return {
        "id": row["instance_name"],
        "type": "vcg",
        "vcpu_count": row["cpu"],
        "gpu_type": f"{row['gpu_vendor'].upper()}_{row['gpu_name']}",
        "gpu_vram_gb": round(row["gpu_memory"] * row["gpu_count"]),
        **_machine(row),
    }


def _metal(row: Offer) -> dict[str, Any]:
    return {
        "id": row["instance_name"].replace("gpu-", "vbm-", 1),
        "type": "NVMe",
        "cpu_count": 2,
        "cpu_cores": row["cpu"] // 2,
        "cpu_threads": row["cpu"],
        "cpu_model": "EPYC 9354",
        "cpu_mhz": 3250,
        **_machine(row),
    }


def _machine(row: Offer) -> dict[str, Any]:
    return {
        "ram": round(row["memory"] * 1024),
        "disk": round(row["disk_size"]),
        "disk_count": 1,
        "bandwidth": 10_240,
        "monthly_cost": round(row["price"] * HOURS_A_MONTH, 2),
        "hourly_cost": row["price"],
        "deploy_ondemand": True,
        "locations": [row["location"]],
    }


def _region(name: str) -> dict[str, Any]:
    return {"id": name, "city": name, "country": "", "continent": "", "options": []}
