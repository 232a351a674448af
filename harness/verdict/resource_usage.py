"""What the service used in each phase: memory, threads, file descriptors and sockets at most and at the phase's end,
and processor time; as figures and as a sentence.

Empty if tailgate did not start the service. For pooled runs each figure is the highest of all runs, and processor time
is their mean. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.evidence import Pool
from harness.evidence.resources import ResourceSeries, format_states
from harness.gates.readings.resource_gate import READINGS_LAST
from harness.rundir.results import CostResult, PhaseResult
from harness.units import NS_PER_S, format_bytes, format_things


def cost_results(pool: Pool, phases: Sequence[PhaseResult]) -> tuple[CostResult, ...]:
    """One result for each phase that has a reading, in the order of `phases`."""
    taken = [(phase, [run.readings_in(phase.name) for run in pool.runs]) for phase in phases]
    return tuple(_cost(phase, readings) for phase, readings in taken if any(map(len, readings)))


def _cost(phase: PhaseResult, runs: Sequence[ResourceSeries]) -> CostResult:
    cores = _mean([used for used in map(_cores, runs) if used is not None])
    seconds = (phase.end_ms - phase.start_ms) / 1000 * len(runs)
    known = cores is not None and phase.n and seconds > 0
    return CostResult(
        phase=phase.name,
        readings=sum(map(len, runs)),
        rss_max_bytes=_most(runs, "rss_bytes"),
        rss_end_bytes=_end(runs, "rss_bytes"),
        threads_max=_most(runs, "threads"),
        threads_end=_end(runs, "threads"),
        fds_max=_most(runs, "fds"),
        fds_end=_end(runs, "fds"),
        sockets_max=_most(runs, "sockets"),
        sockets_end=_end(runs, "sockets"),
        sockets_by_state=_states(runs),
        cpu_s_per_s=cores,
        cpu_ms_per_request=1000 * cores * seconds / phase.n if known and cores is not None else None,
    )


def _most(runs: Sequence[ResourceSeries], figure: str) -> int | None:
    known = [run.knowing(figure).figure(figure) for run in runs]
    return max((int(values.max()) for values in known if len(values)), default=None)


def _end(runs: Sequence[ResourceSeries], figure: str) -> int | None:
    """The highest of the phase's last readings; gates on what follows a fault use the same readings."""
    known = [run.knowing(figure).figure(figure)[-READINGS_LAST:] for run in runs]
    return max((int(values.max()) for values in known if len(values)), default=None)


def _states(runs: Sequence[ResourceSeries]) -> dict[str, int] | None:
    """The sockets by TCP state, at the moment when there were most of them; None if they were never counted."""
    known = [reading for run in runs if len(reading := run.knowing("sockets"))]
    if not known:
        return None
    fullest = max(known, key=lambda reading: float(reading.sockets.max()))
    return dict(fullest.by_state[int(fullest.sockets.argmax())] or {})


def _cores(run: ResourceSeries) -> float | None:
    """Processor seconds per second. The sum over processes falls when one of them ends; a fall counts as zero."""
    known = run.knowing("cpu_s")
    if len(known) < 2:
        return None
    used_s = np.diff(known.cpu_s).clip(min=0).sum()
    return float(used_s / ((known.t_ns[-1] - known.t_ns[0]) / NS_PER_S))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


# ---------------------------------------------------------------- in words


def held(cost: Sequence[CostResult], phase: str) -> list[str]:
    """A sentence on what the service held at most in a phase, beside the baseline; none if there are no readings."""
    of = next((each for each in cost if each.phase == phase), None)
    if of is None or not (at_most := _figures(of)):
        return []
    spread = format_states(of.sockets_by_state or {})
    before = next((each for each in cost if each.phase == "baseline" != phase), None)
    usual = f"; in the baseline {_figures(before)}" if before and _figures(before) else ""
    return [f"The service held at most {at_most}{f' ({spread})' if spread else ''}{usual}."]


def _figures(of: CostResult) -> str:
    known = [format_bytes(of.rss_max_bytes)] if of.rss_max_bytes is not None else []
    known += [format_things(of.threads_max, "thread")] if of.threads_max is not None else []
    known += [format_things(of.sockets_max, "socket")] if of.sockets_max is not None else []
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else "".join(known)
