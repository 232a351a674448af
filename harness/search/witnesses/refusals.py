"""How many requests found no connection to the service: the witness of a queue of connections that is full.

Read from nginx's access log, which says of each request how long its connection to the service took. A refused one
took no time and was not made. Where the queue is full without a refusal the kernel drops the first packet and sends it
again after a second, so a connection on this machine that took so long found no room either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.rundir.ndjson import read_ndjson
from harness.stack.processes.gateway import ACCESS_LOG

if TYPE_CHECKING:
    from harness.rundir.plan import Plan

AT_ONCE: Final = b'"upstream_connect_s":"0.0'
SECOND_S: Final = 0.9
"""The kernel's first repetition comes after a second; a little less, since nginx rounds."""


def refused(plan: Plan, run_dir: Path, begin_s: float, end_s: float) -> int | None:
    """Of the requests of the load that ended in [begin, end) (seconds since the epoch) the number that found no
    connection to the service within a second; None if no gateway of ours has seen that, or its log is damaged."""
    if plan.gateway.kind != "nginx":
        return None
    try:
        return sum(read_ndjson(run_dir / ACCESS_LOG, lambda line: _is_refused(line, begin_s, end_s), "an access"))
    except (OSError, ValueError):
        return None


def _is_refused(line: bytes, begin_s: float, end_s: float) -> bool:
    """Raises ValueError or RecursionError for what is no line of the log."""
    if AT_ONCE in line:  # nearly every line, of which a long load has a million
        return False
    entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    time_s = entry.get("time_s")
    if not isinstance(time_s, int | float):
        raise ValueError("without a time")
    of_load = bool(entry.get("seq")) and begin_s <= time_s < end_s
    return of_load and not _connected(str(entry.get("upstream_connect_s", "")))


def _connected(took: str) -> bool:
    """`took`: seconds as nginx writes them; `-` or empty if no connection was made."""
    try:
        return float(took) < SECOND_S
    except ValueError:
        return False
