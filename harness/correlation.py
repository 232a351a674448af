"""Ties a backend call to the request that caused it, by either of two headers.

They are `X-Tailgate-Seq: N`, and a W3C `traceparent` whose trace id contains the run and N, for services that pass
trace context on but drop unknown headers. A canary has a header of its own.
"""

from __future__ import annotations

import hashlib
import re

SEQ_HEADER = "x-tailgate-seq"
TRACE_HEADER = "traceparent"
CANARY_HEADER = "x-tailgate-canary"
CONTROL_HEADER = "x-tailgate-control"
RUN_DIR_HEADER = "x-tailgate-run-dir"
LOAD_PATH = "/-/load"
READY_PATH = "/-/ready"

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{16})([0-9a-f]{16})-[0-9a-f]{16}-[0-9a-f]{2}")


def run_hash(run_id: str) -> str:
    """16 hex digits: the first half of every trace id of a run."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:16]


def traceparent(run: str, seq: int) -> str:
    """The header's value for request `seq`; `run` comes from `run_hash`.

    It contains N + 1, since the specification forbids an all-zero id.
    """
    return f"00-{run}{seq + 1:016x}-{seq + 1:016x}-01"


def seq_of(run: str, value: str) -> int | None:
    """The request number in a traceparent of this run; None for anything else."""
    match = _TRACEPARENT.fullmatch(value)
    return int(match[2], 16) - 1 if match and match[1] == run and int(match[2], 16) else None
