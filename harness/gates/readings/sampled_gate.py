"""What gates on readings of the service share: the baseline as a limit, and phases long enough for their readings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
from harness.gates.gate import Finding, GateDefaults
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.units import duration_literal

if TYPE_CHECKING:
    from harness.evidence import Pool

_AFTER: Final = "after "


@dataclass(frozen=True, slots=True)
class SampledGate(GateDefaults, ABC):
    """`limit`: in the gate's unit; None: `factor` times the figure of the baseline."""

    text: str
    limit: float | None
    factor: float | None
    phase: str

    @property
    @abstractmethod
    def metric(self) -> str: ...

    @abstractmethod
    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding: ...

    @property
    @abstractmethod
    def window_ms_least(self) -> float:
        """How long a phase must last to have enough readings."""

    @property
    @abstractmethod
    def needs(self) -> str:
        """What needs a phase of this length, as a clause."""

    @property
    def is_back(self) -> bool:
        """Whether it is about the phase after a fault, where what the fault caused must be released in the end, so only
        the phase's last readings count."""
        return self.phase.startswith(_AFTER)

    def phases(self) -> tuple[str, ...]:
        return (self.phase,) if self.factor is None else (self.phase, "baseline")

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return self.window_ms_least if self.is_back else 0.0

    def window_needed_ms(self) -> float:
        return self.window_ms_least

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        """A phase that is too short for enough readings. A phase after a fault is checked by `load_needed_after_ms`."""
        for phase in self.phases():
            length_ms = windows.lengths_ms[phase]
            if length_ms < self.window_ms_least and not phase.startswith(_AFTER):
                yield GateDiagnostic(
                    f"the window `{phase}` of `{self.text}` is {duration_literal(length_ms)} long; {self.needs}",
                    windows.suggest_longer(phase, self.window_ms_least - length_ms),
                )


def phase_of(words: Tokens, factor: float | None, example: str, offset: int) -> str:
    """Takes the phase. `factor`: of the baseline, which is not compared with itself. `offset`: where the limit begins.

    Raises GateSyntaxError.
    """
    phase = words.phase()
    if factor is not None and phase == "baseline":
        raise GateSyntaxError("the baseline would be compared with itself", example, offset)
    return phase


def not_started(names: ScenarioNames, metric: str) -> Iterable[GateDiagnostic]:
    """A diagnostic if the service is no process of the run, so that what it uses cannot be measured."""
    if not names.starts_service:
        yield GateDiagnostic(
            f"tailgate does not start the service at `url`, so it cannot measure its {metric}",
            "let tailgate start it by `service.command`, or remove the gate",
        )
