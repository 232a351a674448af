"""The results of a search as a page shows them: a service of 256 threads, in health and with an upstream slow."""

from __future__ import annotations

from harness.rundir.searches.capacity import CapacityResults, Limiter, LoadStep, RateCurve
from harness.search.answers.conclusion import sentence_of
from harness.search.answers.replicas import replicas_for
from tests.search.steps import gate, step
from tests.search.test_conclusion import results

LIMIT_MS = 1_000.0


def curve_of(fault: str | None, carries_per_s: float, base_ms: float) -> RateCurve:
    """Loads as a search runs them around what the service carries."""
    rates = [20, 36, 64.8, 117, 210, 378, carries_per_s * 0.97, carries_per_s * 1.05]
    steps = [load(rate, carries_per_s, base_ms) for rate in rates]
    steps.append(load(rates[-2], carries_per_s, base_ms, purpose="soak"))
    steps.append(load(rates[-1], carries_per_s, base_ms, purpose="refute"))
    witness = f"threads: 256 at {rates[-1]:.3g}/s and no more at 378/s, while requests in flight rose to 610"
    return RateCurve(
        fault=fault,
        certified_per_s=float(f"{rates[-2]:.3g}"),
        refuted_per_s=float(f"{rates[-1]:.3g}"),
        at_least=False,
        ended_by="bracket",
        findings=("no_core_left",) if fault else (),
        limiter=Limiter(kind="threads", witness=witness),
        would_decide="",
        steps=tuple(steps),
    )


def load(rate_per_s: float, carries_per_s: float, base_ms: float, purpose: str = "explore") -> LoadStep:
    """One load: p99 grows towards what the service carries, and above that requests pile up."""
    rate_per_s = float(f"{rate_per_s:.3g}")
    used = rate_per_s / carries_per_s
    held = used <= 1
    p99_ms = (
        min(0.9 * LIMIT_MS, base_ms * (1 + 0.25 * used / (1.02 - used))) if held else (1_400.0 if used < 1.2 else None)
    )
    spread = 1.05 if purpose == "soak" else 1.4
    sure = purpose != "explore" or rate_per_s > 60
    in_flight = rate_per_s * base_ms / 2_500 if held else 256.0 * used
    reason = "" if held else "not stationary: requests in flight still rose at the end, from 240 to 610"
    return step(
        rate_per_s,
        "held" if held else "broke",
        purpose=purpose,
        alpha=None if purpose == "explore" else 0.05,
        seconds=12.0 if purpose == "explore" else 120.0,
        reason=reason,
        p99_ms=p99_ms,
        p99_low_ms=p99_ms / spread if p99_ms and sure else None,
        p99_high_ms=p99_ms * spread if p99_ms and sure and held else None,
        in_flight_mean=in_flight,
        little=in_flight if held else 1.3 * in_flight,
        cpu_cores=min(1.1, rate_per_s / 200),
        load_cores=rate_per_s / 700,
        threads_most=round(min(256.0, in_flight + 4)),
        gates=(gate(f"p99 < {LIMIT_MS:g}ms", LIMIT_MS),),
    )


def made_up(*, faults: bool = True) -> CapacityResults:
    curves = [curve_of(None, 180, 240)]
    if faults:
        curves += [curve_of("azure-slow", 140, 420), curve_of("gcp-is-gone-for-good", 92, 330)]
    return results(*curves).model_copy(
        update={
            "sentence": sentence_of(curves),
            "replicas": replicas_for(500, curves),
            "not_judged": {"recovery < 15s after azure-slow": "a fault is on for its whole curve"},
        }
    )
