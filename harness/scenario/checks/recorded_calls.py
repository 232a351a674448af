"""Checks that gates which count calls name upstreams whose calls are recorded. Pure.

Behind a real server that is reached over a bare connection nothing records calls: only connections and canaries are
seen. Such a gate would be inconclusive in every run. What only a fake can break is refused by
`harness.scenario.planning.plan_faults`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.kinds import Upstream
from harness.upstreams.protocols import PROTOCOLS


def recorded_calls_findings(gates: Sequence[LocatedGate], upstreams: Mapping[str, Upstream]) -> Iterator[Diagnostic]:
    """A diagnostic for each gate that counts calls which nothing records. All names must be resolved already."""
    for located in gates:
        if not located.gate.counts_calls:
            continue
        named = located.gate.upstreams()
        counted = named or tuple(upstreams)
        unrecorded = [name for name in counted if not upstreams[name].records_calls]
        if unrecorded:
            recorded = [name for name in upstreams if upstreams[name].records_calls]
            what = f"`{located.gate.text}` counts calls, and those to {', '.join(unrecorded)} are not recorded"
            yield located.at(
                unrecorded[0] if named else "",
                f"{what}: {_reason(unrecorded, upstreams)}",
                _way_out(unrecorded, recorded, upstreams, named=bool(named)),
            )


def _reason(unrecorded: Sequence[str], upstreams: Mapping[str, Upstream]) -> str:
    protocols = dict.fromkeys(PROTOCOLS[upstreams[name].protocol].title for name in unrecorded)
    return f"of {' and '.join(protocols)} over a bare connection only connections are seen"


def _way_out(
    unrecorded: Sequence[str], recorded: Sequence[str], upstreams: Mapping[str, Upstream], *, named: bool
) -> str:
    changes = [upstreams[name].recorded_if() for name in unrecorded]
    if all(changes):
        return f"{' and '.join(dict.fromkeys(changes))}, so that the forwarder records its calls"
    if recorded and not named:
        return f"name an upstream whose calls are recorded: {', '.join(recorded)}"
    return "judge what the callers of the service see: p99, errors, timeouts"
