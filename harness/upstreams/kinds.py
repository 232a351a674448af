"""Every kind of upstream, one per file. A new one needs its file, its line in UPSTREAMS, and its probe in `probes`."""

from __future__ import annotations

from typing import Any, Final

from harness.model.value_types import kind_of, refusal
from harness.upstreams.fake import CatalogFake
from harness.upstreams.real import RealUpstream
from harness.upstreams.routed_fake import RoutedFake
from harness.upstreams.started import CommandUpstream
from harness.upstreams.upstream import GENERIC, Upstream

__all__ = ["GENERIC", "LATER", "UPSTREAMS", "Upstream", "parse_upstream"]

UPSTREAMS: Final[tuple[type[Upstream], ...]] = (RealUpstream, CommandUpstream, RoutedFake, CatalogFake)
"""A mapping belongs to the first kind that reads it. A fake with a catalog reads every mapping, so it comes last."""
LATER: Final = {
    "proxy": "a borrowed proxy",
}
"""Kinds that are not built yet, by the key that would select them."""
_FAKE_FIX: Final = "use a fake: {p50: 200ms, p99: 600ms}"


def parse_upstream(raw: Any) -> Upstream:
    """The upstream that a mapping describes. Raises pydantic's errors with positions and fixes."""
    if isinstance(raw, Upstream):
        return raw
    if isinstance(raw, str):
        return RealUpstream.model_validate(raw)
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "{} is a fake with the default latency")
    for key, what in LATER.items():
        if key in raw:
            raise refusal(f"{what} comes with a later version", _FAKE_FIX)
    return next(kind for kind in UPSTREAMS if kind.reads(raw)).model_validate(raw)
