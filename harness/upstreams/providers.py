"""What a scenario must know of each provider. What a provider answers is its file in `fake_backends.providers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

ROW_BYTES_LEAST: Final = 200
"""An offer as JSON is never shorter than this, in any provider's shape."""
ROW_BYTES_MOST: Final = 2_000
"""An offer as JSON is never longer than this."""

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
    """`answer_bytes(rows, page)`: the least size of the answer to a canary, and the most of any healthy answer, in
    bytes."""

    answer_bytes: Callable[[int, int], tuple[int, int]] = _rows_alone
    pages: bool = True
    """False: one answer has all rows."""


PROVIDERS: Final[dict[ProviderName, ProviderTraits]] = {
    "generic": ProviderTraits(),
    "vastai": ProviderTraits(pages=False),
    "lambda": ProviderTraits(pages=False),
    "vultr": ProviderTraits(_all_but_metal),
}
