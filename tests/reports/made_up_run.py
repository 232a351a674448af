"""A run directory with results beside its rows, for the reports' and the browser's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.rundir.plan import Plan
from harness.rundir.results import Results
from harness.rundir.rows import CALLS
from tests.reports.made_up_results import results, write_results
from tests.rundir.recording import T0_NS, Policy, make_plan, record, slow_fault

EIGHT = ("aws", "lambda", "nebius", "oci", "runpod", "vastai", "azure", "gcp")


def five_minutes(*, rate_per_s: float = 40.0) -> Plan:
    """Eight upstreams, two faults, gateway timeout 2 s."""
    return make_plan(
        upstreams=EIGHT,
        duration_ms=300_000,
        rate_per_s=rate_per_s,
        faults=[
            slow_fault(apply_ms=60_000, remove_ms=120_000),
            slow_fault("gcp-slow", upstream="gcp", apply_ms=180_000, remove_ms=215_000, delay_ms=800),
        ],
        gates=["p99 < gateway.timeout during azure-slow"],
    )


def write_run(run_dir: Path, plan: Plan, made: Results | None = None, *, policy: Policy = "parallel") -> Path:
    recording = record(plan, policy=policy)
    # numpy forgets the padding when it joins structured arrays
    recording.calls = recording.calls.astype(CALLS.dtype())
    recording.resources = [_reading(second) for second in range(round(plan.load.duration_ms / 1000))]
    recording.write(run_dir)
    write_results(run_dir, made or results(plan))
    return run_dir


def _reading(second: int) -> dict[str, Any]:
    return {
        "t_ns": T0_NS + second * 1_000_000_000,
        "child": "sut",
        "pid": 3,
        "cpu_s": second * 0.4,
        "rss_bytes": 80_000_000 + second * 100_000,
        "threads": 20 + second % 9,
        "fds": None if second % 5 == 0 else 40,
    }


def embedded(page: str, element: str) -> Any:
    """The JSON that a page carries in the script element of that id."""
    start = page.index(">", page.index(f'id="{element}"')) + 1
    return json.loads(page[start : page.index("</script>", start)])
