"""What a scenario must know of each provider; what a provider answers is its file in `fake_backends.providers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

ROW_BYTES_LEAST: Final = 200
"""An offer as JSON is never shorter, in any provider's shape."""
ROW_BYTES_MOST: Final = 2_000

ProviderName = Literal[
    "generic",
    "vastai",
    "lambda",
    "vultr",
]


def _rows_alone(rows: int, page: int) -> tuple[int, int]:
    return ROW_BYTES_LEAST * min(rows, page or rows), ROW_BYTES_MOST * min(rows, page or rows)


def _all_but_metal(rows: int, page: int) -> tuple[int, int]:
    """Vultr's bare metal, every fourth row, has a path of its own."""
    return _rows_alone(rows - rows // 4, page)[0], _rows_alone(rows, page)[1]


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """`answer_bytes(rows, page)`: what the answer to a canary surely holds, and what no answer in health exceeds."""

    answer_bytes: Callable[[int, int], tuple[int, int]] = _rows_alone
    pages: bool = True
    """False: it answers with all it has at once."""


PROVIDERS: Final[dict[ProviderName, ProviderTraits]] = {
    "generic": ProviderTraits(),
    "vastai": ProviderTraits(pages=False),
    "lambda": ProviderTraits(pages=False),
    "vultr": ProviderTraits(_all_but_metal),
}
