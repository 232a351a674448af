"""`--fail-fast`: decides from the rows so far, while the load is on, whether a gate can no longer pass.

Each kind of gate decides itself whether its FAIL is certain (`Gate.cannot_pass`). Gates on a share with a limit that is
known before the run do so by `harness.statistics.cannot_pass`: even if all remaining requests are good, the gate fails.
It must fail as well without the seconds in which the load generator was late, and without those in which others took
the cores. `tailgate judge` decides the stopped run by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.evidence import Evidence, Pool
from harness.evidence.files import in_order
from harness.evidence.joining.row_table import RowTable
from harness.gates import Finding, Gate
from harness.gates.parse import parse_gate
from harness.rundir.manifest import Manifest, ToxiproxyInfo
from harness.rundir.plan import Plan
from harness.rundir.rows import CALLS
from harness.verdict.bad_seconds.late import lag_limit_ms, late_seconds
from harness.verdict.bad_seconds.taken import taken_seconds
from harness.verdict.bad_seconds.waiting import without_waiting
from harness.verdict.cut_slots import assume_ok
from scenarios.load import PlannedArrivals


class FailFast:
    """Built once for each run; `reason` is called again and again while the load is on.

    `resources` gives the lines of resources.ndjson so far. It is called only when a gate fails surely.
    """

    def __init__(self, plan: Plan, resources: Callable[[], Sequence[dict[str, object]]] = tuple) -> None:
        gates = [parse_gate(gate.text) for gate in plan.gates]
        limits = [gate.latency_limit_ms(plan.gateway.timeout_ms) for gate in gates]
        self._plan = plan
        self._gates = gates
        self._resources = resources
        self._alpha_fail = round(1 - plan.verdict.confidence, 9) / max(len(gates), 1)
        self._lag_limit_ms = lag_limit_ms([limit for limit in limits if limit is not None])
        self._planned = PlannedArrivals.of(plan.load, plan.seed) if plan.load.streams else None

    def reason(self, rows: NDArray[Any], t0_ns: int) -> str | None:
        """Why the run may stop now: a gate's text with its finding; None if no FAIL is certain yet.

        `rows`: the requests so far, in any order.
        """
        if self._planned is None or not len(rows):
            return None
        run = self._so_far(in_order([rows]), t0_ns)
        if self._plan.load.slots_cut:  # a gate must fail even if all dropped arrivals had been answered at once
            run = assume_ok(run)
        late = late_seconds(run, self._lag_limit_ms)
        for gate in self._gates:
            finding = self._cannot_pass(gate, run)
            if (
                finding
                and (not late or self._cannot_pass(gate, run.without(late)))
                and self._is_its_own(gate, run, late)
            ):
                return f"`{gate.text}` can no longer pass: {finding.reason}"
        return None

    def _is_its_own(self, gate: Gate, run: Evidence, late: frozenset[int]) -> bool:
        """Whether a gate that fails surely does so without the seconds in which others took the cores as well, or
        however long they held up its requests."""
        taken = taken_seconds(replace(run, resources=tuple(self._resources())))
        if not taken.seconds or self._cannot_pass(gate, run.without(late | taken.affected)):
            return True
        return self._cannot_pass(gate, without_waiting(run.without(late), taken)) is not None

    def _so_far(self, rows: RowTable, t0_ns: int) -> Evidence:
        """The evidence of the run so far, as of a run that was stopped at t = 0."""
        manifest = Manifest(
            run_id=self._plan.run_id,
            tool_version="",
            started_at="",
            boot_id="",
            wall_offset_ns=0,
            t0_ns=t0_ns,
            engine=ToxiproxyInfo(kind="none"),
        )
        return Evidence(
            run_dir=Path(),
            plan=self._plan,
            manifest=manifest,
            samples=rows,
            calls=RowTable.of([], CALLS),
            stop_ns=t0_ns,  # no phase is complete yet, since rows come late and in any order
        )

    def _cannot_pass(self, gate: Gate, run: Evidence) -> Finding | None:
        run.planned = self._planned  # so that they are not drawn again at every call
        return gate.cannot_pass(Pool.of(run), alpha_fail=self._alpha_fail)
