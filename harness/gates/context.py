"""What a gate knows of its scenario before anything runs: the scenario's names and its planned windows. Pure.

The scenario's checks build these values and pass them to the gate's `name_diagnostics` and `window_diagnostics`, which
yield what does not fit; the checks add the position in the file. A new kind of gate needs no change there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GateDiagnostic:
    """Why a gate could not be decided, and what to write instead. `word`: the word of the gate's text that the caret
    points at; empty: its beginning."""

    message: str
    fix: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class KnownFault:
    """What gates know of a fault: its name, the upstreams it breaks, and how long each window lasts."""

    name: str
    upstreams: tuple[str, ...]
    for_ms: float


@dataclass(frozen=True, slots=True)
class ScenarioNames:
    """What the scenario has that a gate may refer to.

    `looks_into_answers`: answers are checked for completeness. `unmarked`: if the scenario does not say how, the
    upstreams of which nothing shows in an answer; `mark_fix`: what to write for them. `starts_service`: tailgate starts
    the service.
    `asks`: by the name of each request, the upstreams that it asks; empty with a locustfile.
    `missing_alerts`: what to write for `service.alerts` if neither log nor alert can be read (a service by `url`);
    empty if one can. `written`: the gate stands in the scenario; False for a default gate.
    """

    upstreams: tuple[str, ...] = ()
    faults: tuple[KnownFault, ...] = ()
    has_gateway_timeout: bool = True
    looks_into_answers: bool = True
    unmarked: tuple[str, ...] = ()
    mark_fix: str = ""
    asks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    starts_service: bool = True
    has_locustfile: bool = False
    has_metrics: bool = False
    missing_alerts: str = ""
    written: bool = True


@dataclass(frozen=True, slots=True)
class FirstWindow:
    """A fault's first window. `after_load_began_ms`: when it begins, counted from the first request of the warm-up."""

    fault: str
    upstreams: tuple[str, ...]
    after_load_began_ms: float
    length_ms: float


def _no_advice(_phase: str, _short_ms: float) -> str:
    return ""


def _no_plan(_phase: str, _requests: Sequence[str]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ScenarioWindows:
    """The planned windows. `lengths_ms`: the length of each phase by its name. `suggest_longer(phase, lacking_ms)`:
    what to write in the scenario so that the phase is longer by that much. `rate_per_s(phase, requests)`: the mean
    planned rate of these requests in the phase, of all requests if none is named; None where it is not planned: with
    `users`, and with a locustfile, whose arrivals may send several requests each."""

    lengths_ms: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[FirstWindow] = ()
    suggest_longer: Callable[[str, float], str] = _no_advice
    rate_per_s: Callable[[str, Sequence[str]], float | None] = _no_plan
