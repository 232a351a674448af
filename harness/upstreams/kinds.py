"""Every kind of upstream, one per file. A new one needs its file, its line in UPSTREAMS, and its probe in `probes`."""

from __future__ import annotations

from typing import Any, Final

from harness.model.value_types import kind_of, refusal
from harness.upstreams.borrowed import BorrowedUpstream
from harness.upstreams.fake import CatalogFake
from harness.upstreams.real import RealUpstream
from harness.upstreams.routed_fake import RoutedFake
from harness.upstreams.started import CommandUpstream
from harness.upstreams.upstream import GENERIC, Upstream

__all__ = ["GENERIC", "UPSTREAMS", "Upstream", "parse_upstream"]

UPSTREAMS: Final[tuple[type[Upstream], ...]] = (
    RealUpstream,
    CommandUpstream,
    BorrowedUpstream,
    RoutedFake,
    CatalogFake,
)
"""A mapping belongs to the first kind that reads it. A fake with a catalog reads every mapping, so it comes last."""


def parse_upstream(raw: Any) -> Upstream:
    """The upstream that a mapping describes. Raises pydantic's errors with positions and fixes."""
    if isinstance(raw, Upstream):
        return raw
    if isinstance(raw, str):
        return RealUpstream.model_validate(raw)
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "{} is a fake with the default latency")
    return next(kind for kind in UPSTREAMS if kind.reads(raw)).model_validate(raw)
