"""Arrival times, and which request each arrival sends: pure functions of a plan's load and a seed.

The arrivals of a run are not stored. Workers compute them with these functions, and the judge checks the rows by the
same functions.
"""

from __future__ import annotations

from scenarios.load.active import active_intervals
from scenarios.load.choice import request_index
from scenarios.load.planned_arrivals import PlannedArrivals, planned_peak_per_s
from scenarios.load.schedules import arrivals_ns, peak_rate_per_s, rate_at

__all__ = [
    "PlannedArrivals",
    "active_intervals",
    "arrivals_ns",
    "peak_rate_per_s",
    "planned_peak_per_s",
    "rate_at",
    "request_index",
]
