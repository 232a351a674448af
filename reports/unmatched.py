"""Requests of the service that match no route of a fake, in one sentence for each upstream. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.rundir.unmatched import Unmatched

UPSTREAMS_MOST: Final = 4
KINDS_MOST: Final = 2
_BAD_REQUEST: Final = 400


def describe(unmatched: Sequence[Unmatched]) -> list[str]:
    """`azure has no GET /v2/offers: 404 to 312 calls (a fake of the provider generic speaks GET /offers?cursor=)`."""
    of: dict[str, list[Unmatched]] = {}
    for line in unmatched:
        of.setdefault(line.upstream, []).append(line)
    texts = [_describe_upstream(upstream, lines) for upstream, lines in of.items()]
    more = len(texts) - UPSTREAMS_MOST
    rest = [f"and so for {more} more {'fake' if more == 1 else 'fakes'}"] if more > 0 else []
    return [*texts[:UPSTREAMS_MOST], *rest]


def _describe_upstream(upstream: str, lines: Sequence[Unmatched]) -> str:
    parts = [_part(line) for line in lines[:KINDS_MOST]]
    rest = lines[KINDS_MOST:]
    if rest:
        calls = sum(line.calls for line in rest)
        parts.append(f"and nothing for {calls:,} more {'call' if calls == 1 else 'calls'}")
    speaks = next((line.speaks for line in lines if line.speaks), "")
    return f"{upstream} has {', '.join(parts)}{f' ({speaks})' if speaks else ''}"


def _part(line: Unmatched) -> str:
    if line.status == _BAD_REQUEST:
        return f"{line.asked}, but not with that query or body: {line.answered()}"
    nearest = f"; the nearest is {line.nearest}" if line.nearest else ""
    return f"no {line.asked}: {line.answered()}{nearest}"
