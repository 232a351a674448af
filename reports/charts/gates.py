"""A gate on the axis that all gates share: how much of its limit was used, log scale, 0.1× to 10×.

Left of 1× is good for every gate: for one that asks for *more* than its limit (complete, throughput)
the shortfall is compared, so that no two rows read in opposite directions.
"""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup

from harness.rundir.results import GateResult

LOW: Final = 0.1
HIGH: Final = 10.0


def used(gate: GateResult, value: float | None) -> float | None:
    """`value` as a multiple of the gate's limit, turned so that below 1 is good; None: cannot be said."""
    if value is None or gate.limit is None:
        return None
    if gate.op != ">":
        return value / gate.limit if gate.limit > 0 else (0.0 if value <= 0 else math.inf)
    if gate.unit == "share":
        allowed, missing = 1 - gate.limit, 1 - value
        return missing / allowed if allowed > 0 else (0.0 if missing <= 0 else math.inf)
    return gate.limit / value if value > 0 else math.inf


def strip(gate: GateResult) -> Markup:
    """The gate's row on the shared axis: observed as a dot, its interval as a bar, arrows beyond the ends."""
    observed = used(gate, gate.observed)
    # of `= 0` what was observed is a fact, and its bound is a share that it excludes
    ends = [] if gate.op == "=" else [used(gate, gate.low), used(gate, gate.high)]
    cut_off = gate.observed is None and gate.censored_at_ms is not None
    if cut_off:
        observed = used(gate, gate.censored_at_ms)
    elif gate.failed_at_rank:
        observed = math.inf
    if observed is None:
        return Markup('<div class="strip none" role="img" aria-label="not measured"></div>')
    known = [end for end in ends if end is not None]
    low, high = min([observed, *known]), max([observed, *known])
    if cut_off or (gate.op == "<" and gate.high is None and gate.low is not None):
        high = math.inf  # the interval is open: nothing bounds it from above
    shapes = [
        Markup('<rect class="good" width="500" height="1000"/><rect class="bad" x="500" width="500" height="1000"/>')
    ]
    if high > low:
        shapes.append(Markup('<path class="bar {}" d="M{:.1f} 500H{:.1f}"/>').format(gate.verdict, _at(low), _at(high)))
    words = [Markup('<span class="one" style="left:50%"></span>')]
    place = _at(observed)
    if LOW <= observed <= HIGH:
        words.append(Markup('<span class="dot {}" style="left:{:.2f}%"></span>').format(gate.verdict, place / 10))
    if high > HIGH:
        words.append(Markup('<span class="arrow {}" style="left:100%">▶</span>').format(gate.verdict))
    if low < LOW:
        words.append(Markup('<span class="arrow {}" style="left:0">◀</span>').format(gate.verdict))
    return Markup(
        '<div class="strip" role="img" aria-label="{}">'
        '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>{}</div>'
    ).format(_spoken(observed, cut_off), Markup().join(shapes), Markup().join(words))


def _at(multiple: float) -> float:
    """Place on the axis, 0 to 1000."""
    if multiple <= LOW:
        return 0.0
    if multiple >= HIGH:
        return 1000.0
    return 1000 * math.log10(multiple / LOW) / math.log10(HIGH / LOW)


def _spoken(observed: float, cut_off: bool) -> str:
    if math.isinf(observed):
        return "far beyond the limit"
    return f"{'at least ' if cut_off else ''}{observed:.3g} times the limit"
