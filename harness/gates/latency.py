"""Latency gates: `p99 < 2s during azure-slow`; also of an upstream, for a request, or against a multiple of a baseline.

They are decided on exceedances, not on an estimated quantile: `p99 < T` holds exactly if fewer than 1 % of the arrivals
took T or longer or did not end ok. `p99(ok)` counts only the arrivals that ended ok. `p99(ttfb)` takes the time to the
first byte of the body in place of the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import Finding, moments_for_share
from harness.gates.latency_limit import LimitedLatency, parse_limit, timeout_diagnostics, upstream_of
from harness.gates.syntax.tokenizer import GateSyntaxError, Token, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import Quantile

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)(?:\((ok|ttfb)\))?")
_EXAMPLE = "p99 < 2s during FAULT"


@dataclass(frozen=True, slots=True)
class LatencyGate(LimitedLatency):
    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "p99 < gateway.timeout during azure-latency",
        "p99 < 2s during baseline",
        "p99 < 1.5x baseline during azure-latency",
        "p99(ttfb) < 500ms during baseline",
    )

    quantile: float
    """0.99 for p99."""
    ok_only: bool
    first_byte: bool
    """Whether the latency is that of the first byte of the body."""

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        first = words.take("a percentile", _EXAMPLE)
        quantile, of_what = _quantile(first)
        offset = words.offset
        upstream = upstream_of(words, "p99", "1s")
        request = words.request()
        words.comparison("<", _EXAMPLE)
        limit = parse_limit(words)
        if upstream and of_what == "ttfb":
            reason = "the first byte is that of the service's answer, and not of an upstream's"
            raise GateSyntaxError(reason, f"write `{words.text.replace('(ttfb)', '', 1)}`", offset)
        return cls(
            words.text,
            upstream,
            request,
            limit,
            words.phase(),
            quantile=quantile,
            ok_only=of_what == "ok",
            first_byte=of_what == "ttfb",
        )

    @property
    def p0(self) -> float:
        """From this share of exceedances on the gate does not hold: 0.01 for p99."""
        return round(1 - self.quantile, 9)

    @property
    def metric(self) -> str:
        of = f" of {self.upstream}" if self.upstream else ""
        kind = "(ok)" if self.ok_only else "(ttfb)" if self.first_byte else ""
        return f"p{self.quantile * 100:g}{kind}{of}"

    @property
    def uses_first_byte(self) -> bool:
        return self.first_byte

    @property
    def allowed_share(self) -> float | None:
        return self.p0 if self.limit.factor is None else None

    def moments(self, confidence: float) -> int:
        # half of the error of a ratio is spent on the quantile that it compares with
        return moments_for_share(self.p0, confidence if self.limit.factor is None else (1 + confidence) / 2)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        yield from timeout_diagnostics(self.limit, names, "p99 < 2s")
        if self.first_byte and names.has_locustfile:
            yield GateDiagnostic(
                "with a locustfile it is not recorded when the first byte of an answer came",
                f"write `{self.text.replace('(ttfb)', '', 1)}`, or send the requests by `load.requests`",
                "(ttfb)",
            )

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.latency_judge import judge

        return judge(self, pool, alpha_fail)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        if self.upstream or self.ok_only or self.latency_limit_ms(pool.plan.gateway.timeout_ms) is None:
            return None
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def breaks(self, finding: Finding) -> bool:
        return bool(finding.n) and finding.exceeded is not None and finding.exceeded / finding.n >= self.p0

    def own_figure(self, pool: Pool) -> Quantile | None:
        from harness.gates.latency_judge import own_quantile

        return own_quantile(self, pool)

    def headline(self, finding: Finding) -> str:
        limit = self.format(finding.limit or 0.0)
        quantile = self.figure
        if finding.observed is not None:
            return f"{quantile} was {self.format(finding.observed)}, not below {limit}"
        if finding.censored_at_ms is None:
            return f"{quantile} was an error, not below {limit}"
        timeout = {"gateway_timeout": "gateway timeout", "client_timeout": "timeout of the load generator"}
        cut_off = self.format(finding.censored_at_ms)
        if finding.censored_by in timeout:
            return f"{quantile} reached the {cut_off} {timeout[finding.censored_by]}"
        return f"{quantile} was {cut_off} or longer, not below {limit}"


def _quantile(word: Token) -> tuple[float, str]:
    """The quantile, and `ok`, `ttfb` or nothing."""
    match = _QUANTILE.fullmatch(word.text)
    if not match:
        fix = (
            f"p{word.text[1:3]}.{word.text[3:]}"
            if re.fullmatch(r"p9{3,}", word.text)
            else "p99, p99.9, p99(ok) or p99(ttfb)"
        )
        raise GateSyntaxError(f"`{word.text}` is not a percentile", fix, word.offset)
    percent = float(match[1])
    if percent <= 0:
        raise GateSyntaxError("p0 is the fastest of all requests, which decides nothing", "p50", word.offset)
    if percent > 99.9999:
        raise GateSyntaxError(f"no run is long enough to show `{word.text}`", "p99.99", word.offset)
    return round(percent / 100, 9), match[2] or ""
