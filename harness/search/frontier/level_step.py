"""One load of a frontier search, judged: as a load of any search, and whether the service met the fault in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.rundir.searches.capacity import StepPurpose
from harness.rundir.searches.frontier import FrontierStep
from harness.search.level_search import WantedLoad
from harness.search.step_figures import GENERATOR_CHECKS, LoadRules, step_of
from harness.verdict.faults.proof import prove_faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Evidence
    from harness.search.frontier.level_loads import LevelLoads
    from harness.search.stack_loads import LoadRun


SAYS_NOTHING: Final = (*GENERATOR_CHECKS, "cores", "faults")
"""Where one of these checks failed, the machine was busy with something else, the load generator was late, or nothing
proves that the fault was there."""


def frontier_step(
    run: LoadRun, loads: LevelLoads, wanted: WantedLoad | None, purpose: StepPurpose, before: Sequence[Evidence]
) -> tuple[FrontierStep, Evidence]:
    """The step of a load that is over, and its evidence. `wanted`: None: it had no fault. `before`: loads that are
    pooled with it.

    The outcome is `generator` where the load says nothing of the level (SAYS_NOTHING): the rate is the same in every
    load, so a machine that gave out is no limit.

    An outage is judged by the decision of its recovery gate also in an explorative load: a service that never came back
    has no point estimate. Raises RigError if the load cannot be judged for any other reason.
    """
    has_outage = wanted is not None and loads.is_outage
    alpha = wanted.alpha if wanted is not None else None
    judged_alpha = loads.settings.alpha if has_outage and alpha is None else alpha
    load = WantedLoad("explore", loads.rate_per_s, alpha=judged_alpha)
    step, evidence = step_of(run, load, purpose, before, LoadRules(steady=not has_outage, excusing=SAYS_NOTHING))
    proofs = [proof.result for proof in prove_faults(evidence)]
    fields = step.model_dump()
    fields.update(
        alpha=alpha,
        level=None if wanted is None else wanted.level,
        fault_seen="; ".join(proof.proof.seen for proof in proofs),
        fault_met=all(proof.met for proof in proofs) if proofs else None,
    )
    judged = FrontierStep.model_validate(fields)
    return (_unmet(judged) if alpha is not None and judged.fault_met is False else judged), evidence


def _unmet(step: FrontierStep) -> FrontierStep:
    """A certificate of a load in which no call met the fault would say nothing of it."""
    if step.outcome == "generator":
        return step
    reason = "no call of the service met the fault, or nothing shows that one did"
    return step.model_copy(update={"outcome": "undecided", "reason": reason})
