"""Texts on how the requests ended that count against a gate: what happened to them, and what to do about it.

An ending is called a cause only if at least a quarter of these requests ended so.
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
"""The ending of a request that ended ok, but too late for the gate."""
CAUSE_LEAST: Final = 0.25
"""An ending with a smaller share of the requests that count against the gate is no cause of the verdict."""
LISTED_MOST: Final = 3
"""A sentence lists at most this many endings or statuses."""
WAITED: Final = (SLOW, "gateway_timeout", "client_timeout", "unfinished", "dropped")
"""Endings that come from waiting too long, which the slowest upstream may have caused."""


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """The texts on one ending. `did`: the predicate of a sentence about such requests, in which `{status}` stands for
    the HTTP status. `next`: the advice."""

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
    return (
        "Compare an answer's body with what is expected of it: `load.complete`, `expect`, or the locustfile, whose own "
        "failures and exceptions the notes of this run count."
    )


def _dropped(_: AdviceContext) -> str:
    return "The service held everything that `load.max_in_flight` allows: bound how long one request may take."


OUTCOMES: Final[dict[str, OutcomeWords]] = {
    SLOW: OutcomeWords("took too long", _bound),
    "http_error": OutcomeWords("got HTTP {status}", _http_error),
    "gateway_timeout": OutcomeWords("got a 504", _bound),
    "client_timeout": OutcomeWords("timed out in the load generator", _bound),
    "connection_error": OutcomeWords("were refused or lost their connection", _connection_error),
    "bad_answer": OutcomeWords("got an answer that failed a check", _bad_answer),
    "dropped": OutcomeWords("found no free slot and were dropped", _dropped),
    "unfinished": OutcomeWords("were still open when the drain ended", _bound),
}


def did(outcome: str, status: int | str | None) -> str:
    """The predicate of a sentence on such requests: `got HTTP 500`. `status`: that of an HTTP error, if known."""
    words = OUTCOMES.get(outcome)
    if words is None:
        return f"ended as {outcome}"
    return words.did.format(status="an error status" if status is None else status)


def list_endings(endings: Sequence[Ending]) -> str:
    """`315 got HTTP 500, 2 got a 504`. `endings`: the commonest first."""
    parts = [f"{format_count(ending.n)} {did(ending.outcome, ending.status)}" for ending in endings[:LISTED_MOST]]
    rest = sum(ending.n for ending in endings[LISTED_MOST:])
    return ", ".join([*parts, *([f"{format_count(rest)} ended in other ways"] if rest else [])])


def headline_of(endings: Sequence[Ending], n: int) -> str:
    """`315 of 1,217 requests got HTTP 500, 2 got a 504`: only those that failed, of `n`; empty if none failed."""
    failed = [ending for ending in endings if ending.outcome != SLOW]
    if not failed:
        return ""
    first = failed[0]
    of_all = f"all {format_count(n)}" if first.n == n else f"{format_count(first.n)} of {format_count(n)}"
    commonest = f"{of_all} requests {did(first.outcome, first.status)}"
    return ", ".join([commonest, *([list_endings(failed[1:])] if failed[1:] else [])])


@dataclass(frozen=True, slots=True)
class Cause:
    """An outcome that is a cause of the verdict: of `n` requests. `statuses`: those of HTTP errors, which count
    together, the commonest first."""

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
    """The outcomes with at least CAUSE_LEAST of the requests, the commonest first."""
    total = sum(ending.n for ending in endings)
    by_outcome = []
    for outcome in dict.fromkeys(ending.outcome for ending in endings):
        own = [ending for ending in endings if ending.outcome == outcome]
        statuses = tuple(ending.status for ending in own if ending.status is not None)
        by_outcome.append(Cause(outcome, sum(ending.n for ending in own), statuses))
    return sorted((cause for cause in by_outcome if cause.n >= CAUSE_LEAST * total), key=lambda cause: -cause.n)


def from_waiting(endings: Sequence[Ending]) -> bool:
    """Whether most of the requests waited too long; True also if there are no endings."""
    waited = sum(ending.n for ending in endings if ending.outcome in WAITED)
    return 2 * waited >= sum(ending.n for ending in endings)


def how_they_ended(endings: Sequence[Ending], n: int, gateway_timeout_ms: float | None, whose: str) -> list[str]:
    """One sentence for each outcome that is a cause: `26 % of the gate's requests got HTTP 500.`

    `n`: the number of all requests; `whose`: what to call them, such as `the gate's requests`.
    """
    sentences = []
    for cause in causes(endings):
        share = format_share(cause.n / n)
        if cause.outcome == "gateway_timeout" and gateway_timeout_ms is not None:
            sentences.append(f"The gateway gave up after {format_duration(gateway_timeout_ms)} on {share} of {whose}.")
        elif cause.outcome != SLOW:
            sentences.append(f"{share} of {whose} {cause.did}.")
    return sentences


def advice_on_endings(ctx: AdviceContext) -> str:
    """The advice on each cause, without repetition; if there is none, the advice on slow requests."""
    advice = [OUTCOMES[cause.outcome].next(ctx) for cause in causes(ctx.endings) if cause.outcome in OUTCOMES]
    return " ".join(dict.fromkeys(advice)) or _bound(ctx)
