"""The limit of a gate on a latency: a duration, `gateway.timeout`, or a multiple of the baseline's or main's figure.

`LimitedLatency` is what all gates with such a limit share.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import Finding, Gate, GateDefaults
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.meant_quantities import durations_meant
from harness.units import parse_duration_ms

if TYPE_CHECKING:
    from harness.evidence import Pool

_LIMITS: Final = "2s, gateway.timeout, 1.5x baseline or 1.5x main"
_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)x?")


@dataclass(frozen=True, slots=True)
class Limit:
    """A gate's limit: `ms`, or `factor` times the same figure `of` the baseline or main; neither is set for
    `gateway.timeout`."""

    ms: float | None = None
    factor: float | None = None
    of: Literal["baseline", "main"] | None = None

    @property
    def is_gateway_timeout(self) -> bool:
        return self.ms is None and self.factor is None

    def in_ms(self, gateway_timeout_ms: float | None) -> float | None:
        """The limit if it is known before the run; None for a multiple, and for a gateway's timeout without gateway."""
        return gateway_timeout_ms if self.is_gateway_timeout else self.ms


def timeout_diagnostics(limit: Limit, names: ScenarioNames, example: str) -> Iterator[GateDiagnostic]:
    """A diagnostic if the limit is `gateway.timeout` and the scenario has none. `example`: what to write instead."""
    if limit.is_gateway_timeout and not names.has_gateway_timeout:
        fix = f"write the limit, such as {example}" if names.written else "write `gates` with limits of their own"
        message = "with `gateway: {kind: none}` there is no gateway.timeout"
        yield GateDiagnostic(message, fix, "gateway.timeout")


def parse_limit(words: Tokens) -> Limit:
    """The limit after the comparison. Raises GateSyntaxError."""
    if words.accept("gateway.timeout"):
        return Limit()
    words.refuse_glued()
    offset = words.offset
    if match := _RATIO.fullmatch(words.peek()):
        number = words.take()
        if number.text.endswith("x") or words.accept("x"):
            return _ratio(words, match[1], offset)
        fix = words.respelled(durations_meant, number) or f"{number.text}ms or {number.text}s"
        raise GateSyntaxError(f"`{number.text}` has no unit", fix, offset)
    return Limit(ms=words.quantity(parse_duration_ms, f"a limit ({_LIMITS})", _LIMITS))


def _ratio(words: Tokens, number: str, offset: int) -> Limit:
    factor = float(number)
    of = words.take("`baseline` or `main`", f"{number}x baseline or {number}x main")
    if not 0 < factor <= 1_000_000:
        raise GateSyntaxError("the factor must be above zero, and a million at most", "1.5x baseline", offset)
    if of.text == "baseline":
        return Limit(factor=factor, of="baseline")
    if of.text == "main":
        return Limit(factor=factor, of="main")
    fix = f"{number}x baseline or {number}x main"
    raise GateSyntaxError(f"a limit cannot be a multiple of `{of.text}`", fix, of.offset)


@dataclass(frozen=True, slots=True)
class LimitedLatency(GateDefaults, ABC):
    """`[of UPSTREAM] [for REQUEST] < LIMIT [PHASE]`, of whatever figure the subclass is about."""

    text: str
    upstream: str | None
    """None: of requests to the service."""
    request: str | None
    limit: Limit
    phase: str

    @property
    @abstractmethod
    def metric(self) -> str: ...

    @abstractmethod
    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding: ...

    @property
    def uses_gateway_timeout(self) -> bool:
        return self.limit.is_gateway_timeout

    @property
    def uses_main(self) -> bool:
        return self.limit.of == "main"

    def phases(self) -> tuple[str, ...]:
        return (self.phase, "baseline") if self.limit.of == "baseline" else (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,) if self.upstream else ()

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def counts_calls(self) -> bool:
        return self.upstream is not None

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return self.limit.in_ms(gateway_timeout_ms)

    def in_baseline(self) -> Gate | None:
        return None if self.limit.factor is not None else replace(self, phase="baseline")

    @property
    def figure(self) -> str:
        """As the gate writes it, with its `of UPSTREAM` and `for REQUEST`: `mean of azure`."""
        return self.text.partition("<")[0].strip()


def upstream_of(words: Tokens, figure: str, limit: str) -> str | None:
    """Takes `of UPSTREAM`; None if it is not there. `figure` and `limit` stand in the example of a message."""
    return words.name("an upstream's name", f"{figure} of UPSTREAM < {limit}") if words.accept("of") else None
