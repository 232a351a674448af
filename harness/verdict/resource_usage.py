"""What the service cost in each phase, in figures and in words: the most it held, the last it held, its processor time.

Empty where the service is no process of ours. Of pooled runs each figure is the highest of any, and processor time
their mean. Decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from harness.evidence import Pool
from harness.evidence.resources import ResourceSeries, format_states
from harness.gates.resource_gate import FIGURES, NO_BASELINE, NO_PROCESS, READINGS_LAST
from harness.rundir.results import CostResult, GateResult, PhaseResult
from harness.units import NS_PER_S, format_bytes, format_things

NEXT: Final = {
    "threads": "Look for threads that never return: a deadline around a blocking call gives up waiting, and the call "
    "goes on in its thread. Give the call itself a timeout, and bound how many may run at once for each backend.",
    "sockets": "See in which state the sockets are (results.json, `cost`), and who never closes them.",
    "rss": "Look for what grows with the requests that wait: queues without a maximum, bodies kept whole, caches "
    "without a limit, tasks of calls that were given up on.",
}
"""What a person should look for, by the metric of the gate that failed."""
_OF_STATES: Final = {
    "CLOSE_WAIT": "{many} CLOSE_WAIT: the other side is done with them and the service never closed them. Close each "
    "connection, that of a call that was given up on too.",
    "CLOSE": "{many} CLOSE: connections that were reset or are over, and the service never closed its end. Close each "
    "connection whose call failed.",
    "ESTABLISHED": "{many} ESTABLISHED, calls under way. During a fault even a service with deadlines holds about 2 x "
    "rate x deadline of them more, once towards the backend and once towards whoever asked: a limit must leave room "
    "for those. Beyond that, calls have no deadline of their own: give them one, and bound how many connections each "
    "backend may have.",
    "SYN_SENT": "{many} SYN_SENT: connections that nobody accepts. Give connecting a timeout of its own, and bound how "
    "many are tried at once.",
}
_ONE_STATE: Final = re.compile(r"([\d,]+) ([A-Z][A-Z0-9_]+)")
_STATE_LEAST: Final = 0.25
"""Of the sockets seen; a state with fewer is not what failed the gate."""


def cost_results(pool: Pool, phases: Sequence[PhaseResult]) -> tuple[CostResult, ...]:
    """One a phase that has a reading, in the order of `phases`."""
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
    """The highest of the phase's last readings, as a gate on what follows a fault has it."""
    known = [run.knowing(figure).figure(figure)[-READINGS_LAST:] for run in runs]
    return max((int(values.max()) for values in known if len(values)), default=None)


def _states(runs: Sequence[ResourceSeries]) -> dict[str, int] | None:
    """At the moment when there were most sockets."""
    known = [reading for run in runs if len(reading := run.knowing("sockets"))]
    if not known:
        return None
    fullest = max(known, key=lambda reading: float(reading.sockets.max()))
    return dict(fullest.by_state[int(fullest.sockets.argmax())] or {})


def _cores(run: ResourceSeries) -> float | None:
    """Processor seconds a second. A sum that falls is a process that has left with its share: not counted back."""
    known = run.knowing("cpu_s")
    if len(known) < 2:
        return None
    used_s = np.diff(known.cpu_s).clip(min=0).sum()
    return float(used_s / ((known.t_ns[-1] - known.t_ns[0]) / NS_PER_S))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


# ---------------------------------------------------------------- in words


def held(cost: Sequence[CostResult], phase: str) -> list[str]:
    """A sentence on what the service held in a phase beside the baseline; none where nobody looked."""
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


# ---------------------------------------------------------------- what next


def next_failed(gate: GateResult) -> str:
    """What to look for; of sockets by the states that the gate's reason tells of."""
    counts = {state: int(count.replace(",", "")) for count, state in _ONE_STATE.findall(gate.reason)}
    if gate.metric != "sockets" or not counts:
        return NEXT[gate.metric]
    common = [state for state, count in counts.items() if count >= _STATE_LEAST * sum(counts.values())]
    known = [_OF_STATES[state].format(many=counts[state]) for state in common if state in _OF_STATES]
    return " ".join(f"{told[:1].upper()}{told[1:]}" for told in known) or NEXT["sockets"]


def next_undecided(gate: GateResult, kind: str) -> str:
    """What would decide it, by the kind of the finding; empty where that is not special to these gates."""
    if gate.metric not in FIGURES or kind == NO_PROCESS:
        return ""
    phase = "baseline" if kind == NO_BASELINE else gate.phase
    longer = f"Let the phase `{phase}` last longer, on a machine with less to do"
    return f"{longer}. To pool runs does not help here: the worst of them counts."
