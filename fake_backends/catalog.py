"""A seeded catalog of compute offers with the fields of gpuhunt's CatalogItem. Pure.

Every instance name ends in `-tg-NAME.`: a complete answer must contain these bytes for each backend. A catalog of ten
rows or more has every GPU, so that a request filtered by one (`gpu=A100`) finds offers at every backend, however small
its catalog.
"""

from __future__ import annotations

from random import Random
from typing import Final, TypedDict


class Offer(TypedDict):
    """One offer: memory in GiB, disk in GB, price in dollars an hour for the whole instance."""

    provider: str
    instance_name: str
    location: str
    price: float
    cpu: int
    memory: float
    gpu_count: int
    gpu_name: str
    gpu_memory: float
    gpu_vendor: str
    spot: bool
    disk_size: float


# name, memory in GiB, vendor, a typical on-demand price in dollars an hour
GPUS: Final = (
    ("A100", 80.0, "nvidia", 2.20),
    ("H100", 80.0, "nvidia", 3.40),
    ("L4", 24.0, "nvidia", 0.70),
    ("T4", 16.0, "nvidia", 0.40),
    ("A10", 24.0, "nvidia", 0.90),
    ("V100", 16.0, "nvidia", 1.60),
    ("L40S", 48.0, "nvidia", 1.50),
    ("RTX4090", 24.0, "nvidia", 0.55),
    ("H200", 141.0, "nvidia", 4.10),
    ("MI300X", 192.0, "amd", 3.60),
)
REGIONS: Final = ("us-east-1", "us-west-2", "eu-central-1", "eu-north-1", "ap-southeast-1", "ap-northeast-1")
COUNTS: Final = (1, 2, 4, 8)


def marker(name: str) -> str:
    """The end of every instance name of backend `name`."""
    return f"-tg-{name}."


def make_catalog(seed: int, name: str, rows: int) -> tuple[Offer, ...]:
    """`rows` offers of backend `name`. The same arguments give the same offers, and more rows only add offers."""
    random = Random(f"{seed}/catalog/{name}")
    return tuple(_row(random, name, number) for number in range(rows))


def _row(random: Random, name: str, number: int) -> Offer:
    gpu, gpu_memory, vendor, price = GPUS[number % len(GPUS)]
    count = random.choice(COUNTS)
    spot = random.choice((False, False, True))
    share = random.uniform(0.3, 0.6) if spot else random.uniform(0.85, 1.25)
    return Offer(
        provider=name,
        instance_name=f"gpu-{count}x-{gpu.lower()}-{number:04d}{marker(name)}",
        location=random.choice(REGIONS),
        price=round(price * count * share, 4),
        cpu=12 * count,
        memory=85.0 * count,
        gpu_count=count,
        gpu_name=gpu,
        gpu_memory=gpu_memory,
        gpu_vendor=vendor,
        spot=spot,
        disk_size=float(random.choice((100, 250, 500))),
    )
