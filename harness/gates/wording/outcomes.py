"""How requests ended that count against a gate, in words and by weight: what they did, and what to do about it.

What a few requests did is no cause: only an ending with a quarter of the damage is spoken of as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.units import format_count, format_duration, format_share

if TYPE_CHECKING:
    from harness.gates.gate import AdviceContext
    from harness.rundir.results import Ending

SLOW: Final = "slow"
"""The outcome of a request that ended ok, and too late for the gate."""
CAUSE_LEAST: Final = 0.25
"""Of the bad requests; an ending with fewer is no cause of the verdict."""
LISTED_MOST: Final = 3
WAITED: Final = (SLOW, "gateway_timeout", "client_timeout", "unfinished", "dropped")
"""Endings that come from waiting too long, so that the slowest upstream has to do with them."""


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """`did`: what such requests did; `next`: what to do about it, from what is known of the run."""

    did: str
    next: Callable[[AdviceContext], str]


def _bound(ctx: AdviceContext) -> str:
    timeout_ms = ctx.gateway_timeout_ms
    before = f" well before the gateway's {format_duration(timeout_ms)}" if timeout_ms is not None else ""
    if ctx.slowest_upstream:
        return (
            f"Give {ctx.slowest_upstream} a deadline of its own{before} and answer with what the others returned; "
            "then check that the calls given up on hold no thread and no socket."
        )
    return f"Bound how long a request may take{before}; see the report for what the slow requests waited for."


def _http_error(ctx: AdviceContext) -> str:
    statuses = [str(ending.status) for ending in causes(ctx.endings) if ending.outcome == "http_error"]
    error = f"the error behind HTTP {' and '.join(statuses[:2])}" if statuses else "the error behind these answers"
    rest = f" {ctx.slowest_upstream} was the slowest upstream of these requests:" if ctx.slowest_upstream else ""
    answer = "answer with what the other upstreams returned when one of them fails."
    return f"See logs/sut.log for {error}.{rest} {answer if rest else answer.capitalize()}"


def _connection_error(_: AdviceContext) -> str:
    return (
        "See logs/sut.log for why the service refused or closed connections: an accept queue that is full, no file "
        "descriptor left, a worker that was restarted."
    )


def _bad_answer(_: AdviceContext) -> str:
    return "Compare an answer's body with what the scenario expects of it (`load.complete`): it could not be read."


def _dropped(_: AdviceContext) -> str:
    return "The service held everything that `load.max_in_flight` allows: bound how long one request may take."


OUTCOMES: Final[dict[str, OutcomeWords]] = {
    SLOW: OutcomeWords("took too long", _bound),
    "http_error": OutcomeWords("got HTTP {status}", _http_error),
    "gateway_timeout": OutcomeWords("got a 504", _bound),
    "client_timeout": OutcomeWords("timed out in the load generator", _bound),
    "connection_error": OutcomeWords("were refused or lost their connection", _connection_error),
    "bad_answer": OutcomeWords("got an answer that could not be read", _bad_answer),
    "dropped": OutcomeWords("found no free slot and were dropped", _dropped),
    "unfinished": OutcomeWords("were still open when the drain ended", _bound),
}


def did(ending: Ending) -> str:
    """`got HTTP 500`."""
    words = OUTCOMES.get(ending.outcome)
    if ending.outcome == "http_error" and ending.status is None:
        return "got an HTTP error"
    return words.did.format(status=ending.status) if words else f"ended as {ending.outcome}"


def list_endings(endings: Sequence[Ending]) -> str:
    """`315 got HTTP 500, 2 got a 504`: the heaviest first."""
    told = [f"{format_count(ending.n)} {did(ending)}" for ending in endings[:LISTED_MOST]]
    rest = sum(ending.n for ending in endings[LISTED_MOST:])
    return ", ".join([*told, *([f"{format_count(rest)} ended in other ways"] if rest else [])])


def headline_of(endings: Sequence[Ending], n: int) -> str:
    """`315 of 1,217 requests got HTTP 500, 2 got a 504`, of those that failed; empty where all ended ok."""
    failed = [ending for ending in endings if ending.outcome != SLOW]
    if not failed:
        return ""
    first = failed[0]
    of_all = f"all {format_count(n)}" if first.n == n else f"{format_count(first.n)} of {format_count(n)}"
    told = f"{of_all} requests {did(first)}"
    return ", ".join([told, *([list_endings(failed[1:])] if failed[1:] else [])])


def causes(endings: Sequence[Ending]) -> list[Ending]:
    """The endings that made up the damage, the heaviest first; those of a few requests are left out.

    HTTP errors weigh together, whatever their statuses.
    """
    total = sum(ending.n for ending in endings)
    weight: dict[str, int] = {}
    for ending in endings:
        weight[ending.outcome] = weight.get(ending.outcome, 0) + ending.n
    heavy = [ending for ending in endings if total and weight[ending.outcome] >= CAUSE_LEAST * total]
    return sorted(heavy, key=lambda ending: -weight[ending.outcome])


def from_waiting(endings: Sequence[Ending]) -> bool:
    """Whether most of the damage came from waiting too long, or nothing is known of it."""
    waited = sum(ending.n for ending in endings if ending.outcome in WAITED)
    return 2 * waited >= sum(ending.n for ending in endings)


def how_they_ended(endings: Sequence[Ending], n: int, gateway_timeout_ms: float | None, whose: str) -> list[str]:
    """One sentence for each ending that is a cause: `26 % of this phase's requests got HTTP 500.`"""
    said = []
    for ending in causes([ending for ending in endings if ending.outcome != SLOW])[:LISTED_MOST]:
        share = format_share(ending.n / n)
        if ending.outcome == "gateway_timeout" and gateway_timeout_ms is not None:
            said.append(f"The gateway gave up after {format_duration(gateway_timeout_ms)} on {share} of {whose}.")
        else:
            said.append(f"{share} of {whose} {did(ending)}.")
    return said


def advice_on_endings(ctx: AdviceContext) -> str:
    """What to do about the heaviest endings, each thing once; about waiting where nothing is known of them."""
    found = causes(ctx.endings)
    advice = [OUTCOMES[ending.outcome].next(ctx) for ending in found if ending.outcome in OUTCOMES]
    return " ".join(dict.fromkeys(advice)) or _bound(ctx)
