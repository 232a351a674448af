"""`calls [to UPSTREAM] [for REQUEST] < N`: backend calls per arrival, which shows amplification and filter push-down.

A limit below one is decided as a share of the arrivals ("fewer than one arrival in a hundred leads to a call to
azure"); a limit of one or more is decided on the mean over batches. A run in which no backend call was recorded at all
is inconclusive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import MEAN_MOMENTS, AdviceContext, Finding, Gate, GateDefaults, Unit, moments_for_share
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.meant_quantities import numbers_meant
from harness.rundir.finding_kind import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Pool, Window

_EXAMPLE = "calls to UPSTREAM < 0.01"
_MULTIPLE = re.compile(r"(\d+(?:\.\d+)?)x")

_NOT_JOINED = "too few backend calls can be tied to a request (the service drops both headers)"


@dataclass(frozen=True, slots=True)
class CallsGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("calls to azure for by-gcp < 0.01",)

    text: str
    upstream: str | None
    request: str | None
    limit: float
    """Calls per arrival."""
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        upstream = words.name("an upstream's name", _EXAMPLE) if words.accept("to") else None
        request = words.request()
        words.comparison("<", _EXAMPLE)
        offset = words.offset
        if match := _MULTIPLE.fullmatch(words.peek()):
            fix = f"{words.text[:offset]}{match[1]}"
            reason = f"`{match[0]}`: calls are counted, and compared with no other phase or run"
            raise GateSyntaxError(reason, fix, offset)
        what = "a number of calls for each arrival"
        limit = words.quantity(_number, what, _EXAMPLE, meant=numbers_meant, units=("",))
        if limit < 1e-6:
            raise GateSyntaxError("fewer than one call in a million arrivals cannot be shown", "0.01", offset)
        return cls(words.text, upstream, request, limit, words.phase())

    @property
    def metric(self) -> str:
        return f"calls to {self.upstream}" if self.upstream else "calls"

    @property
    def unit(self) -> Unit:
        return "ratio"

    @property
    def is_share(self) -> bool:
        """Whether it is decided as a share of the arrivals, not as a mean."""
        return self.limit < 1

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,) if self.upstream else ()

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def counts_calls(self) -> bool:
        return True

    @property
    def allowed_share(self) -> float | None:
        return self.limit if self.is_share else None

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.limit, confidence) if self.is_share else MEAN_MOMENTS

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if not names.upstreams:
            yield GateDiagnostic("without upstreams no calls are counted", "add `upstreams`, or remove the gate")

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        import numpy as np

        from harness.gates.batch_means import judge_mean
        from harness.gates.exceedance import JOINED_LEAST, Population, ShareWords, describe_stopped, finding_of, rule_of
        from harness.gates.reference.limits import Limits
        from harness.statistics import Counts, decide

        windows = Population(self.phase, self.request, every_part=self.request is not None).windows(pool)
        if any(window.cut for window in windows):
            return self._inconclusive(FindingKind.STOPPED, describe_stopped(pool).reason)
        unrecorded = [u.name for u in pool.plan.upstreams if not u.records_calls and self.upstream in (None, u.name)]
        if unrecorded:
            reason = f"the calls to {', '.join(unrecorded)} are not recorded"
            return self._inconclusive(FindingKind.NOT_RECORDED, reason)
        if not any(len(run.calls) for run in pool.runs):
            reason = "no backend call was recorded at all; does the service use its addresses?"
            return self._inconclusive(FindingKind.NO_CALLS, reason)
        joined = all((share := run.joined_share) is None or share >= JOINED_LEAST for run in pool.runs)
        if self.request is not None and not joined:
            return self._inconclusive(FindingKind.NOT_JOINED, _NOT_JOINED)
        batches = [_batches(self, run, w, joined) for run, w in zip(pool.runs, windows, strict=True)]
        sums = np.concatenate([own for own, _ in batches])
        sizes = np.concatenate([size for _, size in batches])
        n, seconds = int(sizes.sum()), sum(window.seconds for window in windows)
        if not self.is_share:
            return judge_mean(
                pool,
                sums,
                sizes,
                n=n,
                seconds=seconds,
                limit=Limits.exactly(self.limit),
                below=True,
                unit="ratio",
                alpha_fail=alpha_fail,
            )
        # a share is at most one, so more calls than arrivals count as one call per arrival
        counts = Counts(np.minimum(sums, sizes) if sums.sum() > n else sums, sizes)
        decision = decide(counts, seconds, rule_of(pool.plan, self.limit, alpha_fail))
        to = f" to {self.upstream}" if self.upstream else ""
        words = ShareWords(f"led to a call{to}", self.limit)
        return replace(
            finding_of(decision, words, limit=self.limit, unit="ratio", op="<"),
            observed=float(sums.sum()) / n if n else None,
            low=decision.low if n else None,
            high=decision.high if n else None,
            n=n,
        )

    def in_baseline(self) -> Gate | None:
        return replace(self, phase="baseline")

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "inconclusive":
            return GateDefaults.advice(self, finding, ctx)
        return "Ask only the backends that a request names (push the filter down), and look for retries."

    def _inconclusive(self, kind: FindingKind, reason: str) -> Finding:
        return Finding("inconclusive", reason, self.limit, "ratio", "<", kind)


def _batches(
    gate: CallsGate, run: Evidence, window: Window, joined: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The numbers of calls and of arrivals in each batch. `joined`: calls are counted in the batch of their request;
    else, because that is unknown, by the time at which they came."""
    import numpy as np

    from harness.statistics import batch_edges, batch_sizes, batch_sums

    calls, arrivals = run.calls, run.call_requests if gate.request else run.call_arrivals
    if gate.upstream is not None:
        chosen = calls["upstream"] == run.plan.upstream(gate.upstream).index
        calls, arrivals = calls[chosen], arrivals[chosen]
    n = len(window.samples)
    if joined:
        for_request = np.bincount(arrivals[arrivals >= 0], minlength=len(run.samples))
        return batch_sums(for_request[window.place]), batch_sizes(n)
    intended = window.samples["intended_ns"]
    inner = intended[batch_edges(n)[1:-1]] if n else np.full(len(batch_edges(n)) - 2, window.end_ns)
    edges = np.concatenate([[window.start_ns], inner, [window.end_ns]])
    counted = np.searchsorted(np.sort(calls["arrived_ns"]), edges)
    return np.diff(counted).astype(np.float64), batch_sizes(n)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{text}` is not a number of calls for each arrival") from None
