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
    statuses = next((cause.statuses for cause in causes(ctx.endings) if cause.outcome == "http_error"), ())
    known = " and ".join(map(str, statuses[:2]))
    error = f"the error behind HTTP {known}" if known else "the error behind these answers"
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


def did(outcome: str, status: int | str | None) -> str:
    """`got HTTP 500`. `status`: of an HTTP error, where it is known."""
    words = OUTCOMES.get(outcome)
    if words is None:
        return f"ended as {outcome}"
    return words.did.format(status="an error status" if status is None else status)


def list_endings(endings: Sequence[Ending]) -> str:
    """`315 got HTTP 500, 2 got a 504`: the heaviest first."""
    told = [f"{format_count(ending.n)} {did(ending.outcome, ending.status)}" for ending in endings[:LISTED_MOST]]
    rest = sum(ending.n for ending in endings[LISTED_MOST:])
    return ", ".join([*told, *([f"{format_count(rest)} ended in other ways"] if rest else [])])


def headline_of(endings: Sequence[Ending], n: int) -> str:
    """`315 of 1,217 requests got HTTP 500, 2 got a 504`, of those that failed; empty where all ended ok."""
    failed = [ending for ending in endings if ending.outcome != SLOW]
    if not failed:
        return ""
    first = failed[0]
    of_all = f"all {format_count(n)}" if first.n == n else f"{format_count(first.n)} of {format_count(n)}"
    told = f"{of_all} requests {did(first.outcome, first.status)}"
    return ", ".join([told, *([list_endings(failed[1:])] if failed[1:] else [])])


@dataclass(frozen=True, slots=True)
class Cause:
    """An outcome with much of the damage; `statuses` of HTTP errors, the commonest first, which weigh together."""

    outcome: str
    n: int
    statuses: tuple[int, ...]

    @property
    def did(self) -> str:
        """`got HTTP 500 or 502`."""
        if not self.statuses:
            return did(self.outcome, None)
        return did(self.outcome, " or ".join(map(str, self.statuses[:LISTED_MOST])))


def causes(endings: Sequence[Ending]) -> list[Cause]:
    """The outcomes that made up the damage, the heaviest first; those of a few requests are left out."""
    total = sum(ending.n for ending in endings)
    found = []
    for outcome in dict.fromkeys(ending.outcome for ending in endings):
        own = [ending for ending in endings if ending.outcome == outcome]
        statuses = tuple(ending.status for ending in own if ending.status is not None)
        found.append(Cause(outcome, sum(ending.n for ending in own), statuses))
    return sorted((cause for cause in found if cause.n >= CAUSE_LEAST * total), key=lambda cause: -cause.n)


def from_waiting(endings: Sequence[Ending]) -> bool:
    """Whether most of the damage came from waiting too long, or nothing is known of it."""
    waited = sum(ending.n for ending in endings if ending.outcome in WAITED)
    return 2 * waited >= sum(ending.n for ending in endings)


def how_they_ended(endings: Sequence[Ending], n: int, gateway_timeout_ms: float | None, whose: str) -> list[str]:
    """One sentence for each outcome that is a cause: `26 % of the gate's requests got HTTP 500.`"""
    said = []
    for cause in causes(endings):
        share = format_share(cause.n / n)
        if cause.outcome == "gateway_timeout" and gateway_timeout_ms is not None:
            said.append(f"The gateway gave up after {format_duration(gateway_timeout_ms)} on {share} of {whose}.")
        elif cause.outcome != SLOW:
            said.append(f"{share} of {whose} {cause.did}.")
    return said


def advice_on_endings(ctx: AdviceContext) -> str:
    """What to do about the heaviest endings, each thing once; about waiting where nothing is known of them."""
    found = causes(ctx.endings)
    advice = [OUTCOMES[cause.outcome].next(ctx) for cause in found if cause.outcome in OUTCOMES]
    return " ".join(dict.fromkeys(advice)) or _bound(ctx)
