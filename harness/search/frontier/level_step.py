"""One load of a frontier search, judged: as a load of any search, and whether the service met the fault in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.evidence.cores import CoreSeconds
from harness.rundir.searches.capacity import StepPurpose
from harness.rundir.searches.frontier import FrontierStep
from harness.search.capacity import CORE_LEFT
from harness.search.frontier.kinds import KINDS
from harness.search.level_search import WantedLoad
from harness.search.step_figures import GENERATOR_CHECKS, LoadRules, step_of
from harness.verdict.faults.proof import prove_faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Evidence
    from harness.rundir.judged.fault_results import FaultProof
    from harness.rundir.planned.upstream import PlannedUpstream
    from harness.search.frontier.level_loads import LevelLoads
    from harness.search.stack_loads import LoadRun
    from harness.verdict.faults.proof import ProofOutcome

SAYS_NOTHING: Final = (*GENERATOR_CHECKS, "cores", "faults")
"""Where one of these checks failed, the machine was busy with something else, the load generator was late, or nothing
proves that the fault was there."""


@dataclass(frozen=True, slots=True)
class _Unmet:
    """Why no call met the fault, for people: in a sentence about the whole search, and about this load."""

    of_search: str
    of_load: str


def frontier_step(
    run: LoadRun, loads: LevelLoads, wanted: WantedLoad | None, purpose: StepPurpose, before: Sequence[Evidence]
) -> tuple[FrontierStep, Evidence]:
    """The step of a load that is over, and its evidence. `wanted`: None: it had no fault. `before`: loads that are
    pooled with it; an outage is judged alone, since the worst of several would count, and one may be no witness.

    The outcome is `generator` where the load says nothing of the level (SAYS_NOTHING): the rate is the same in every
    load, so a machine that gave out is no limit.

    An outage is judged by the decision of its recovery gate also in an explorative load: a service that never came back
    has no point estimate. Raises RigError if the load cannot be judged for any other reason.
    """
    has_outage = wanted is not None and loads.is_outage
    level, alpha, pooled = (wanted.level, wanted.alpha, wanted.pooled) if wanted is not None else (None, None, 0)
    judged_alpha = loads.settings.alpha if has_outage and alpha is None else alpha
    load = WantedLoad("explore", loads.rate_per_s, alpha=judged_alpha, pooled=pooled)
    rules = LoadRules(steady=not has_outage, excusing=SAYS_NOTHING, explains=has_outage)
    step, evidence = step_of(run, load, purpose, () if has_outage else before, rules)
    judged = FrontierStep.model_validate({**step.model_dump(), "alpha": alpha, "level": level})
    if judged.outcome == "broke" and (taken := _taken(evidence, is_outage=has_outage)):
        judged = judged.model_copy(update={"outcome": "generator", "reason": taken})
    return _with_fault_seen(judged, evidence, by_share=alpha is None and KINDS[loads.target.kind].on_calls), evidence


def _taken(evidence: Evidence, *, is_outage: bool) -> str:
    """Why a load that broke says nothing: no core was idle, and what is no part of the run used most of them. Of an
    outage the time after it counts, in which the service must recover. Empty if that was not so, or is not known.

    A real upstream on this machine is no part of the run either; it does not use that much at a rate that the service
    carries, and where it does the answer would be that of the machine.
    """
    record = CoreSeconds.of(evidence.resources, evidence.t0_ns)
    if record is None:
        return ""
    begin_ms = max((w.remove_ms for fault in evidence.plan.faults for w in fault.windows), default=0.0)
    begin_s = begin_ms / 1000 if is_outage else 0.0
    seconds = np.arange(len(record)) + record.first
    inside = (seconds >= begin_s) & (seconds < evidence.plan.load.duration_ms / 1000)
    if not inside.any():
        return ""
    own, others = (float(used[inside].mean()) for used in (record.used_s + record.rig_used_s, record.others_s))
    if own + others <= record.cores - CORE_LEFT or others <= own:
        return ""
    return f"no core was idle, and what is no part of the run used {others:.1f} of {record.cores}"


def _with_fault_seen(step: FrontierStep, evidence: Evidence, *, by_share: bool) -> FrontierStep:
    """The step with what was seen of its fault, `undecided` if no call met that. `by_share`: see `_unmet`."""
    proofs = prove_faults(evidence)
    seen: dict[str, object] = {
        "fault_seen": "; ".join(proof.result.proof.seen for proof in proofs),
        "fault_met": all(proof.result.met for proof in proofs) if proofs else None,
    }
    for proof in proofs:
        if why := _unmet(step, proof, evidence.plan.upstream(proof.result.upstream), by_share=by_share):
            seen |= {"outcome": "undecided", "reason": why.of_load, "unmet": why.of_search}
    return step.model_copy(update=seen)


def _unmet(step: FrontierStep, proof: ProofOutcome, upstream: PlannedUpstream, *, by_share: bool) -> _Unmet | None:
    """Why the load says nothing of its level although the fault stood; None if it does, or if something else is why.

    `by_share`: it certifies nothing, and its fault breaks a share of the calls. At a small share no call of a short
    load may be hit, so it is enough that calls came.
    """
    result, seen = proof.result, proof.result.proof
    if result.observed and proof.missing:  # no such load counts in any run, whatever else is wrong with it
        return _Unmet(proof.missing if result.met else _none_met(seen, upstream), proof.missing)
    if step.outcome == "generator" or result.met or (by_share and seen.calls_during):
        return None
    unmet = _none_met(seen, upstream)
    return _Unmet(unmet, unmet)


def _none_met(seen: FaultProof, upstream: PlannedUpstream) -> str:
    """That no call met the fault, as surely as it is known. A call over an old connection may be held and not seen."""
    if upstream.records_calls and not seen.one_witness:
        if not seen.service_calls:
            return f"no call of the service reached {upstream.name}"
        if not seen.calls_during and seen.connections_during is None:
            return f"no call of the service reached {upstream.name} while the fault stood"
    return "no call of the service met the fault, or nothing shows that one did"
