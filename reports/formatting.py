"""Figures as reports spell them, the same in HTML, Markdown and JUnit."""

from __future__ import annotations

import math
from typing import Final

from harness.gates.wording.figures import READINGS, UNITS, format_figure
from harness.rundir.results import GateResult, PhaseResult, RequestResult
from harness.units import format_bytes, format_count, format_duration, format_share

ICON: Final = {"pass": "✓", "fail": "✕", "inconclusive": "?", "rig_failure": "!"}
WORD: Final = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive", "rig_failure": "Rig failure"}
OUTCOME_WORD: Final = {
    "ok": "ok",
    "http_error": "HTTP error",
    "gateway_timeout": "gateway timeout (504)",
    "client_timeout": "client timeout",
    "connection_error": "connection error",
    "bad_answer": "bad answer",
    "dropped": "dropped",
    "unfinished": "unfinished",
}
NONE: Final = "–"
_CUT_OFF: Final = {
    "gateway_timeout": "cut off by the gateway",
    "client_timeout": "cut off by the client",
    "unfinished": "still open when the run ended",
}


def ms(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else format_duration(value)


def rank(value: float | None, n: float | None, cut_off_ms: float | None) -> str:
    """A phase's percentile. One that fell on a failure is `≥ 2.00 s` where only the gateway failed requests, else ∞."""
    if (value is not None and not math.isnan(value)) or not n:
        return ms(value)
    return "∞" if cut_off_ms is None or math.isnan(cut_off_ms) else f"≥ {ms(cut_off_ms)}"


def cut_off_ms(phase: PhaseResult | RequestResult, gateway_ms: float | None) -> float | None:
    """The gateway's timeout, if that is what cut off every request of a phase that was not ok."""
    failed = {name for name, n in phase.outcomes.items() if n and name != "ok"}
    return gateway_ms if failed == {"gateway_timeout"} else None


def share(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else format_share(value)


def count(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else format_count(round(value))


def size(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else format_bytes(value)


def number(value: float | None) -> str:
    """Three significant digits, for ratios and rates."""
    return NONE if value is None or math.isnan(value) else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def seconds(value_ms: float | None) -> str:
    """A moment of the run: `63.4 s`."""
    return NONE if value_ms is None else f"{value_ms / 1000:.1f} s"


def figure(gate: GateResult, value: float | None) -> str:
    """`value` in the gate's unit."""
    return NONE if value is None else format_figure(gate.unit, value)


def observed(gate: GateResult) -> str:
    """What was seen; `≥ 30.0 s` where a timeout cut it off."""
    if gate.observed is None and gate.censored_at_ms is not None:
        return f"≥ {ms(gate.censored_at_ms)}"
    if gate.failed_at_rank:
        return "an error"
    return figure(gate, gate.observed)


def interval(gate: GateResult, gateway_ms: float | None) -> str:
    """The confidence interval, or why there is none."""
    if gate.observed is None and gate.censored_at_ms is not None:
        if gate.censored_by is not None:
            return _CUT_OFF[gate.censored_by]
        # an older results.json does not say by what
        return "cut off by the gateway" if gate.censored_at_ms == gateway_ms else "cut off by the client"
    if gate.failed_at_rank:
        return "the request at that rank failed"
    if gate.low is None and gate.high is None:
        return ""
    high = figure(gate, gate.high) if gate.high is not None else "∞"
    low = figure(gate, gate.low) if gate.low is not None else "0"
    return f"{low} – {high}"


def sample(gate: GateResult) -> str:
    """How much a gate rests on: `3 of 2,400 exceeded · withstands 200 ms`; nothing for one that counts nothing."""
    if gate.limit is None:
        return ""
    of = f"{format_count(gate.n)} {things(gate)}"
    if gate.exceeded is not None:
        broke = "missed" if gate.op == ">" else "exceeded"
        of = f"{format_count(gate.exceeded)} of {format_count(gate.n)} {f'{READINGS} ' if is_held(gate) else ''}{broke}"
    return of if gate.withstands_ms is None else f"{of} · withstands {ms(gate.withstands_ms)}"


def is_held(gate: GateResult) -> bool:
    """It is about what the service holds (memory, threads, sockets), so it counts readings and no requests."""
    return things(gate) == READINGS


def things(gate: GateResult) -> str:
    """What its n counts."""
    return UNITS[gate.unit].counts


def limit(gate: GateResult) -> str:
    """As the scenario would say it: a limit is exact, so it carries no rounded zeros."""
    if gate.limit is None:
        return NONE
    exact = UNITS[gate.unit].exact(gate.limit)
    return f"{gate.op} {exact}"


def tally(verdicts: list[str]) -> str:
    """`2 failed · 1 inconclusive · 3 passed`."""
    words = (("fail", "failed"), ("inconclusive", "inconclusive"), ("pass", "passed"))
    counted = [f"{verdicts.count(verdict)} {word}" for verdict, word in words if verdict in verdicts]
    return " · ".join(counted) or "no gate was judged"


def losses(phase: PhaseResult | RequestResult) -> str:
    """How a phase's arrivals failed: `790 gateway timeout (504), 3 dropped`; and how many sent nothing at all."""
    failed = [(OUTCOME_WORD.get(name, name), n) for name, n in phase.outcomes.items() if n and name != "ok"]
    if isinstance(phase, PhaseResult) and phase.no_request:
        failed.append(("sent no request", phase.no_request))
    return ", ".join(f"{format_count(n)} {word}" for word, n in failed) or NONE
