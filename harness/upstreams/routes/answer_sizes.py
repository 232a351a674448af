"""How many bytes the answers of routes have, as far as that is known before they are sent. Pure but for file sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from harness.rundir.planned.routes import PlannedAnswer, PlannedRoute
from harness.upstreams.routes.files import files_of
from harness.upstreams.routes.templates import params_of

CANARY_BYTES_LEAST: Final = 200
CANARY_BYTES_MOST: Final = 64_000
"""A canary's answer is as large as the largest of a route up to this; more would cost the canaries their pace."""
PLACEHOLDER_BYTES: Final = 64
"""Assumed length of what is filled in for a placeholder."""


def canary_bytes(routes: Sequence[PlannedRoute]) -> int:
    """The size of a canary's answer: that of the largest answer of a route, within the two bounds above."""
    return max(CANARY_BYTES_LEAST, min(CANARY_BYTES_MOST, most_bytes(routes)))


def most_bytes(routes: Sequence[PlannedRoute]) -> int:
    """The size of the largest answer, in bytes. What is filled into templates is estimated."""
    return max((size for route in routes for answer in route.answers for size in _sizes(answer, route)), default=0)


def _sizes(answer: PlannedAnswer, route: PlannedRoute) -> Iterator[int]:
    if answer.has_json:
        import json  # the tree may hold numbers that faster encoders refuse

        text = json.dumps(answer.json_tree, ensure_ascii=False)
        yield len(text.encode()) + PLACEHOLDER_BYTES * text.count("{")
    elif answer.data is not None:
        yield len(answer.data)
    elif answer.text is not None:
        yield len(answer.text.encode()) + (PLACEHOLDER_BYTES * answer.text.count("{") if answer.template else 0)
    elif answer.file is not None:
        for path in files_of(answer.file, params_of(route.path)).paths.values():
            yield Path(path).stat().st_size
