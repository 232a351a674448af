"""gpuhunt's own provider clients, pointed at running fakes, find the catalog: the wire shapes are the real ones.

What a client makes of an answer is its own affair (Lambda in cents and for every region, Vultr's bare
metal without a GPU, no spot where a provider has none); here stands what is left of a row after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from gpuhunt import Catalog, CatalogItem, QueryFilter
from gpuhunt.providers import lambdalabs, vastai, vultr

from fake_backends.catalog import Offer, make_catalog, marker
from harness.stack.processes.ports import PortLease
from tests.fake_backends.plans import SEED, plan, upstream
from tests.fake_backends.test_fakes_process import started

pytestmark = pytest.mark.stack

ROWS = 120
NAMES = ("vastai", "lambda", "vultr")


@pytest.fixture(scope="module")
def base_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where each provider's fake answers."""
    with PortLease() as lease:
        fakes = [
            upstream(name, index, provider=name, rows=ROWS, port=lease.take(), p50_ms=1.0, p99_ms=2.0)
            for index, name in enumerate(NAMES)
        ]
        with started(tmp_path_factory.mktemp("run"), plan(*fakes)):
            yield {fake.name: f"http://127.0.0.1:{fake.origin.port}" for fake in fakes}


@pytest.fixture(autouse=True)
def clients(base_urls: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vastai, "bundles_url", f"{base_urls['vastai']}/api/v0/bundles/")
    monkeypatch.setattr(lambdalabs, "INSTANCE_TYPES_URL", f"{base_urls['lambda']}/api/v1/instance-types")
    monkeypatch.setattr(lambdalabs, "IMAGES_URL", f"{base_urls['lambda']}/api/v1/images")
    monkeypatch.setattr(vultr, "API_URL", f"{base_urls['vultr']}/v2")


def by_name(name: str) -> dict[str, Offer]:
    return {row["instance_name"]: row for row in make_catalog(SEED, name, ROWS)}


def gpu(item: CatalogItem | Offer) -> tuple[object, ...]:
    if isinstance(item, CatalogItem):
        return item.gpu_count, item.gpu_name, item.gpu_memory
    return item["gpu_count"], item["gpu_name"], item["gpu_memory"]


def test_vastai_offers_every_row_and_its_bid() -> None:
    catalog = by_name("vastai")
    items = vastai.VastAIProvider().get()
    assert Counter(item.instance_name for item in items) == Counter(
        {name: 2 if row["spot"] else 1 for name, row in catalog.items()}
    )
    assert {item.instance_name for item in items if item.spot} == {name for name, row in catalog.items() if row["spot"]}
    for item in items:
        row = catalog[item.instance_name]
        assert item.instance_name.endswith(marker("vastai"))
        assert item.price == pytest.approx(row["price"], abs=1e-5)
        assert gpu(item) == gpu(row)
        assert (item.location, item.cpu, item.memory) == (row["location"], row["cpu"], row["memory"])
        assert item.disk_size == row["disk_size"]


def test_vastai_answers_a_filtered_query_as_the_client_filters_it() -> None:
    catalog = by_name("vastai")
    wanted = {
        name
        for name, row in catalog.items()
        if row["gpu_name"] in ("A100", "RTX4090") and row["gpu_count"] >= 2 and row["price"] <= 12 and row["cpu"] >= 24
    }
    query = QueryFilter(gpu_name=["A100", "RTX4090"], min_gpu_count=2, max_price=12, min_cpu=24)
    assert {item.instance_name for item in vastai.VastAIProvider().get(query)} == wanted
    market = Catalog(balance_resources=False, auto_reload=False)
    market.add_provider(vastai.VastAIProvider())
    found = market.query(
        provider="vastai", gpu_name=["A100", "RTX4090"], min_gpu_count=2, max_price=12, min_cpu=24, min_gpu_memory=20
    )
    assert {item.instance_name for item in found} == wanted
    assert len(wanted) > 5


def test_lambda_offers_every_row_in_every_region() -> None:
    catalog = by_name("lambda")
    regions = {row["location"] for row in catalog.values()}
    items = lambdalabs.LambdaLabsProvider("a-token").get()
    assert Counter((item.instance_name, item.location) for item in items) == Counter(
        (name, region) for name in catalog for region in regions
    )
    for item in items:
        row = catalog[item.instance_name]
        assert item.instance_name.endswith(marker("lambda"))
        assert item.price == round(row["price"] * 100) / 100
        assert gpu(item) == gpu(row)
        assert item.cpu == row["cpu"]
        assert item.memory == pytest.approx(row["memory"] * 1.074)
        assert item.disk_size == pytest.approx(row["disk_size"], rel=0.01)
        assert not item.spot


@pytest.mark.parametrize("api_key", [None, "a-key"])
def test_vultr_offers_every_row_bare_metal_without_its_gpu(api_key: str | None) -> None:
    catalog = by_name("vultr")
    items = vultr.VultrProvider(api_key=api_key).get()
    names = [item.instance_name.replace("vbm-", "gpu-", 1) for item in items]
    assert sorted(names) == sorted(catalog)
    for item, name in zip(items, names, strict=True):
        row = catalog[name]
        assert item.instance_name.endswith(marker("vultr"))
        assert item.price == row["price"]
        assert (item.location, item.cpu, item.memory) == (row["location"], row["cpu"], row["memory"])
        assert item.disk_size == row["disk_size"]
        bare_metal = item.instance_name.startswith("vbm-")
        assert gpu(item) == ((0, None, None) if bare_metal else gpu(row))
    assert sum(item.gpu_count == 0 for item in items) == ROWS // 4
