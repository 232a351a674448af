"""The document of `tailgate plan --json`: how long each gate needs to be decided, and how long each command takes."""

from __future__ import annotations

from typing import Literal

from harness.model.frozen import Frozen

Search = Literal["capacity", "frontier"]


class DecisionTimes(Frozen):
    """Seconds of the gate's phase, over all runs of a pool together. null: not within a day, not of this kind, or not
    known before the run."""

    healthy_s: float | None
    """Until a PASS if nothing exceeds the limit."""
    outage_s: float | None = None
    """How long every request must exceed it, at a stretch from the beginning of the planned phase of one run, so that
    the gate fails; in the other runs nothing does."""
    half_s: float | None = None
    """Until a PASS if half the share that is allowed exceeds it."""
    twice_s: float | None = None
    """Until a FAIL if twice the share that is allowed exceeds it."""


class GateNeeds(Frozen):
    """A gate and the lengths of its phase that decide it. `planned_s`: how long requests that it counts can arrive in
    the phase of one run. `rate_per_s`: of these requests in that time; null in the closed model, where it depends on
    the answers. `phases_s`: of each phase that it needs, the length in one run without which it never passes; null: no
    length of a day suffices."""

    text: str
    phase: str
    planned_s: float
    rate_per_s: float | None
    times: DecisionTimes
    phases_s: dict[str, float | None]
    every_arrival: bool = False
    """The rate is that of the whole load, as if every arrival sent what the gate counts: which requests a locustfile
    sends is not known before it runs."""


class PlannedCell(Frozen):
    """A cell, or the scenario where there is no matrix (`name` null). `load_s`: warm-up and load of one run.

    `least_s`: the shortest such load whose windows can still pass every gate; null if that is not known. `notes`: what
    is not known before the run and why, a sentence each. `wall_s`: the wall clock time of all runs. It is the most that
    a pool takes, since that ends once it is decided.
    """

    name: str | None
    runs: int
    gates: tuple[GateNeeds, ...]
    load_s: float
    least_s: float | None
    notes: tuple[str, ...] = ()
    wall_s: float


class SearchDuration(Frozen):
    """How long a search of one cell takes with its usual loads: as the median over services that are made up, and at
    most if no load has to be repeated and the service always comes back."""

    usual_s: float
    most_s: float


class PlannedScenario(Frozen):
    """`wall_s`: of `tailgate run` on this machine. `capacity`, `frontier`: of the searches (of `--all` upstreams); null
    if the scenario has nothing for it, or if the usual soak is too short, as `refused` then says."""

    name: str
    file: str
    wall_s: float
    capacity: SearchDuration | None
    frontier: SearchDuration | None
    refused: dict[Search, str] = {}
    cells: tuple[PlannedCell, ...]


class PlanDocument(Frozen):
    """The whole document."""

    schema_version: Literal[1] = 1
    kind: Literal["plan"] = "plan"
    scenarios: tuple[PlannedScenario, ...]
