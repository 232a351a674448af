"""The requests of a scenario, as they are sent for each arrival. Which client sends them is decided elsewhere.

The request and the row of data depend only on seed and number of the arrival, so that the judge can compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedRequest
from scenarios.drive.arrival import Arrival
from scenarios.drive.template import compile_template, read_rows

Fill = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request with its templates filled in, without the headers that tie it to its arrival."""

    name: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str | None


@dataclass(frozen=True, slots=True)
class _Template:
    """A request with its templates compiled."""

    name: str
    method: str
    path: Fill
    headers: tuple[tuple[str, Fill], ...]
    body: Fill | None

    def fill(self, row: Mapping[str, str]) -> Outgoing:
        return Outgoing(
            name=self.name,
            method=self.method,
            path=self.path(row),
            headers=tuple((name, fill(row)) for name, fill in self.headers),
            body=None if self.body is None else self.body(row),
        )


class PlannedRequests:
    """The requests of one plan. `expand` fills in `${VAR}`. Raises RigError if the data file cannot be used."""

    def __init__(self, plan: Plan, expand: Callable[[str], str]) -> None:
        columns: tuple[str, ...] = ()
        self._rows: tuple[Mapping[str, str], ...] = ({},)
        try:
            if plan.load.data is not None:
                columns, self._rows = read_rows(Path(plan.load.data))
            self._templates = tuple(_template(request, columns, expand) for request in plan.load.requests)
        except (OSError, ValueError) as exc:
            raise RigError(f"load.data: {exc}") from exc
        self._constant = None if columns else tuple(template.fill({}) for template in self._templates)

    def of(self, arrival: Arrival) -> Outgoing:
        """What an arrival sends."""
        if self._constant is not None:
            return self._constant[arrival.request]
        return self._templates[arrival.request].fill(self._rows[arrival.seq % len(self._rows)])


def _template(request: PlannedRequest, columns: tuple[str, ...], expand: Callable[[str], str]) -> _Template:
    def compiled(text: str) -> Fill:
        expanded = expand(text)
        return compile_template(expanded, columns) if columns else lambda _row: expanded

    return _Template(
        name=request.name,
        method=request.method,
        path=compiled(request.path),
        headers=tuple((name, compiled(value)) for name, value in request.headers.items()),
        body=None if request.body is None else compiled(request.body),
    )
