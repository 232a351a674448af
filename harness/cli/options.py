"""Options that several commands share: values with a unit, searches over loads, and a load from other machines."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

WITHIN_LEAST: Final = 0.01


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


class Width(click.ParamType[float]):
    """How far apart two answers may be, relative to the lower one: `25%`; from 1 % to `most`."""

    name = "percentage"
    _PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")

    def __init__(self, most: float) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = self._PERCENT.fullmatch(str(value).strip())
        if match is None or not WITHIN_LEAST <= (width := float(match[1]) / 100) <= self.most:
            self.fail(
                f"`{value}` is not from 1% to {100 * self.most:.0f}%; write a percentage, such as 25%", param, ctx
            )
        return width


_REMOTE_WORKERS = (
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
    for option in reversed(_REMOTE_WORKERS):
        command = option(command)
    return command


_SEARCH = (
    click.option(
        "--step", type=Quantity("duration"), default="60s", show_default=True, help="The load that certifies a FAIL."
    ),
    click.option(
        "--soak", type=Quantity("duration"), default="2m", show_default=True, help="The load that certifies a PASS."
    ),
    click.option("--only", metavar="CELL", help="The cell of a matrix."),
    click.option(
        "--resume", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Go on with this search."
    ),
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(".runs"),
        show_default=True,
        help="Where the directory of the search goes.",
    ),
    click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's."),
    click.option(
        "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override a field, such as load.rate=20/s."
    ),
    click.option(
        "--allow-target", "allowed", multiple=True, metavar="HOST", help="Allow load to a host off this machine."
    ),
    click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Locust processes."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    click.option("--quiet", is_flag=True, help="Only the line VERDICT NAME DIR."),
)


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what `tailgate capacity` and `tailgate frontier` have in common."""
    for option in reversed(_SEARCH):
        command = option(command)
    return command
