"""Options that several commands share: values with a unit, and a load that comes from other machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Quantity(click.ParamType[float]):
    """Written as in scenarios: `40/s`, `10m`, `5%`. `name`: `rate`, `duration` or `share`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from harness.units import parse_duration_ms, parse_rate_per_s, parse_share

        if isinstance(value, float):
            return value
        read = {"rate": parse_rate_per_s, "duration": parse_duration_ms, "share": parse_share}[self.name]
        try:
            return read(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


_OPTIONS = (
    click.option(
        "--expect-workers", type=click.IntRange(1, 64), metavar="N", help="Wait for so many `tailgate worker` instead."
    ),
    click.option("--listen", metavar="HOST:PORT", help="Where they connect to."),
    click.option(
        "--token-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The secret shared with them.",
    ),
)


def remote_worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--expect-workers`, `--listen` and `--token-file`, which `harness.run.remote_load.workers_of` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
