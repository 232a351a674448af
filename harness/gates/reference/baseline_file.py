"""The file given by `--baseline`: a small JSON of figures with their bounds, for limits such as `1.5x main`.

Every judged run writes its own as `baseline.json`, which can be committed to a repository. `run --baseline FILE` copies
the given file into the run directory as `main.json`, so that the verdict can be judged again from the directory alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from harness.errors import UsageError
from harness.model.frozen import Frozen
from harness.rundir.results import Machine

MAIN: Final = "main.json"
OWN: Final = "baseline.json"


class Quantile(Frozen):
    """One quantile, mean or maximum of one phase in ms, with a lower and an upper bound at half the allowed error each.

    null: infinite or unknown. A maximum is a fact about its run, so both bounds are the value itself.
    """

    metric: str
    """As written in a gate: `p99`, `p99(ok)`, `p99(ttfb)`, `p99 of azure`, `mean`, `max`."""
    request: str | None
    phase: str
    n: int
    observed_ms: float | None
    low_ms: float | None
    high_ms: float | None


class FailedShare(Frozen):
    """How many of the `n` requests of one phase counted as `metric` (`errors`, `timeouts`, an outcome).

    `deflation`: their design effect. `seconds`: how long the phase lasted.
    """

    metric: str
    request: str | None
    phase: str
    n: int
    exceeded: int
    deflation: float
    seconds: float


class SuccessRate(Frozen):
    """Requests that ended ok per second in one phase, with bounds at half the allowed error each, and the rate that the
    plan had there; null: unknown."""

    request: str | None
    phase: str
    planned_per_s: float | None
    observed_per_s: float
    low_per_s: float
    high_per_s: float


Figure = Quantile | FailedShare | SuccessRate
"""What a gate leaves for a later run."""


class BaselineFile(Frozen):
    """The document. `scenario`, `run`: the name and the id of the run that wrote it."""

    schema_version: Literal[1] = 1
    kind: Literal["baseline"] = "baseline"
    scenario: str
    run: str
    clump_ms: float
    confidence: float
    machine: Machine = Machine()
    """The machine of the run, and how fast it was."""
    quantiles: tuple[Quantile, ...]
    shares: tuple[FailedShare, ...] = ()
    rates: tuple[SuccessRate, ...] = ()


def load_baseline(path: Path) -> BaselineFile:
    """Read a baseline file. Raises UsageError if it is missing, or no baseline file."""
    try:
        return BaselineFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing", f"give the {OWN} of a run's directory") from None
    except (OSError, ValidationError) as exc:
        raise UsageError(f"{path} is not a baseline file", f"give the {OWN} of a run's directory") from exc
