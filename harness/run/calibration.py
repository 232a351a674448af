"""What `tailgate doctor` measures: five seconds of load through a whole stack.

It shows that this machine can run a scenario at all, and how much CPU time a load worker needs per request (without its
start-up), from which the highest rate of a worker follows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.run.max_rate import MaxRate
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session, run_once
from harness.run.run_id import new_run_id
from harness.run.signals import Stopper
from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.rundir.rows import SAMPLES, read_rows
from harness.scenario import LoadedCell, load_scenario
from harness.temp_dirs import temp_dir

SCENARIO: Final = """\
name: ceiling
service: {rung: timeout}
upstreams: {local: {p50: 1ms, p99: 2ms, rows: 1}}
gateway: {kind: none}
load: {request: GET /healthz, rate: 300/s, warmup: 1s, duration: 4s, timeout: 5s, complete: none}
gates: [errors < 50%]
verdict: {clump: 10ms}
"""
USABLE: Final = 0.7
"""The share of a core up to which a worker sends in time; above it the dispatcher is late more often than not."""
SCRATCH: Final = "tailgate-doctor-"
"""The prefix of the temporary folder."""


def measure() -> MaxRate:
    """Run five seconds of load through a whole stack. Raises RigError if that fails, Interrupted if it is stopped."""
    with temp_dir(SCRATCH) as folder, Stopper() as stopper:
        scenario, run_dir = folder / "ceiling.yaml", folder / "run"
        scenario.write_text(SCENARIO, encoding="utf-8")
        loaded = load_scenario(scenario)
        session = Session(Options(out=folder), NullDisplay(), stopper)
        finished = run_once(
            session, LoadedCell(None, {}, loaded, ("pass",)), run_dir=run_dir, run_id=new_run_id(), seed=0
        )
        stopper.check()
        if finished.results is None or finished.results.verdict == "rig_failure":
            raise RigError(finished.results.reason if finished.results else "the run was not judged")
        return max_rate_of(run_dir)


def max_rate_of(run_dir: Path) -> MaxRate:
    """The highest rate of a worker, from a finished run: its CPU time between its first and last reading in the load,
    divided by the requests that it sent between them. Raises RigError if there are fewer than two readings."""
    from harness.evidence.files import read_resources
    from harness.evidence.resources import ResourceSeries
    from harness.units import Span

    plan, manifest = Plan.read(run_dir), Manifest.read(run_dir)
    t0_ns = manifest.t0_ns or 0
    end_ns = t0_ns + round(plan.load.duration_ms * 1e6)
    worker = ResourceSeries.of(read_resources(run_dir, []), child="locust-0")  # the run was judged: nothing is damaged
    readings = worker.within([Span(t0_ns, end_ns + 1)], None).knowing("cpu_s")
    if len(readings) < 2:
        raise RigError("the load worker's CPU time could not be read")
    first_ns, last_ns = readings.t_ns[0], readings.t_ns[-1]
    cpu_s = float(readings.cpu_s[-1] - readings.cpu_s[0])
    sent_ns = read_rows(run_dir / "samples-0.bin", SAMPLES)["sent_ns"]
    sent = int(((sent_ns >= first_ns) & (sent_ns < last_ns)).sum())
    cpu_ms = max(1000 * cpu_s / max(sent, 1), 0.01)
    return MaxRate(cpu_ms=round(cpu_ms, 3), rate_per_s=round(USABLE * 1000 / cpu_ms, -1))
