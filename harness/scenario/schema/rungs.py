"""The rungs of the reference aggregator and their policies, by their names in a scenario. Pure.

The tester may not import the aggregator; a test checks that both have the same rungs and policies.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.value_types import did_you_mean, kind_of, refusal

_TIMEOUT: Final = ("parallel", "deadline", "unavailable")
_ISOLATED: Final = (
    *_TIMEOUT,
    "pushdown",
    "budget",
    "bulkhead",
    "breaker",
    "single_flight",
    "stale",
)
POLICIES_OF: Final[dict[str, tuple[str, ...]]] = {
    "sequential": (),
    "parallel": ("parallel",),
    "threads": ("parallel", "threads", "deadline"),
    "timeout": _TIMEOUT,
    "pushdown": (*_TIMEOUT, "pushdown"),
    "isolated": _ISOLATED,
}
RUNGS: Final = tuple(POLICIES_OF)
POLICIES: Final = tuple(dict.fromkeys(policy for policies in POLICIES_OF.values() for policy in policies))


def _rung(value: Any) -> str:
    if value not in RUNGS:
        raise refusal(f"{kind_of(value)} is not a rung of the aggregator", did_you_mean(str(value), RUNGS))
    return str(value)


def rungs_with(policy: str) -> tuple[str, ...]:
    return tuple(rung for rung, policies in POLICIES_OF.items() if policy in policies)


def cannot_add(rung: str, policy: str) -> PydanticCustomError | None:
    """Why a policy cannot be added to the rung; None: it can be."""
    if policy in POLICIES_OF[rung]:
        return refusal(f"the rung `{rung}` has the policy `{policy}` already", "remove it from `with`")
    if not rungs_with(policy):
        others = tuple(other for other in POLICIES if other not in POLICIES_OF[rung])
        return refusal(f"there is no policy `{policy}`", did_you_mean(policy, others))
    return None


def unknown_policy(rung: str, policy: str) -> PydanticCustomError:
    """Why a policy that the rung lacks cannot be switched off there."""
    has, others = POLICIES_OF[rung], rungs_with(policy)
    if not others:
        return refusal(f"there is no policy `{policy}`", did_you_mean(policy, has, otherwise="remove `without`"))
    whose = ", ".join(f"`{other}`" for other in others)
    fix = f"remove it, or choose one of {', '.join(f'`{name}`' for name in has)}" if has else "remove `without`"
    return refusal(f"the rung `{rung}` has no policy `{policy}`: it belongs to {whose}", fix)


Rung = Annotated[str, BeforeValidator(_rung), WithJsonSchema({"enum": list(RUNGS)})]
