"""What a gate may know of the scenario it stands in before anything runs: its names, its windows. Pure.

A gate's class says by `name_diagnostics` and `window_diagnostics` what it needs of them; the scenario's checks fill
these in and add where the gate stands. A new gate needs no change there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GateDiagnostic:
    """Why a gate cannot be decided, and what to write. `word`: where in its text the caret stands; empty: at its
    beginning."""

    message: str
    fix: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault as gates see it: the upstreams it breaks, and how long it stays."""

    name: str
    upstreams: tuple[str, ...]
    for_ms: float


@dataclass(frozen=True, slots=True)
class ScenarioNames:
    """What gates may name and rely on. `written`: False for a default gate.

    `missing_alerts`: how the alert is spelled that a service by `url` lacks; empty where log or alert can be read.
    """

    upstreams: tuple[str, ...] = ()
    faults: tuple[KnownFault, ...] = ()
    has_gateway_timeout: bool = True
    looks_into_answers: bool = True
    starts_service: bool = True
    missing_alerts: str = ""
    written: bool = True


@dataclass(frozen=True, slots=True)
class FirstWindow:
    """A fault's first window: `after_load_began_ms` counts from the first request, the warm-up's included."""

    fault: str
    upstreams: tuple[str, ...]
    after_load_began_ms: float
    length_ms: float


def _no_advice(_phase: str, _short_ms: float) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class ScenarioWindows:
    """The planned windows. `lengths_ms`: of each phase; `suggest_longer`: from a phase and the milliseconds that it
    lacks, what to write in the scenario."""

    lengths_ms: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[FirstWindow] = ()
    suggest_longer: Callable[[str, float], str] = _no_advice
