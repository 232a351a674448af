"""The file given by `--baseline`: a small JSON of quantiles with their bounds, for limits such as `1.5x main`.

Every judged run writes its own as `baseline.json`, which can be committed to a repository. `run --baseline FILE` copies
the given file into the run directory as `main.json`, so that the verdict can be judged again from the directory alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from harness.errors import UsageError
from harness.gates.quantiles import Bounds
from harness.model.frozen import Frozen

MAIN: Final = "main.json"
OWN: Final = "baseline.json"


class Quantile(Frozen):
    """One quantile of one phase in ms, with a lower and an upper bound at half the allowed error each.

    null: infinite or unknown.
    """

    metric: str
    """As written in a gate: `p99`, `p99(ok)`, `p99 of azure`."""
    request: str | None
    phase: str
    n: int
    observed_ms: float | None
    low_ms: float | None
    high_ms: float | None


class BaselineFile(Frozen):
    """The document. `scenario`, `run`: the name and the id of the run that wrote it."""

    schema_version: Literal[1] = 1
    kind: Literal["baseline"] = "baseline"
    scenario: str
    run: str
    clump_ms: float
    confidence: float
    quantiles: tuple[Quantile, ...]


def load_baseline(path: Path) -> BaselineFile:
    """Read a baseline file. Raises UsageError if it is missing, or no baseline file."""
    try:
        return BaselineFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing", f"give the {OWN} of a run's directory") from None
    except (OSError, ValidationError) as exc:
        raise UsageError(f"{path} is not a baseline file", f"give the {OWN} of a run's directory") from exc


def read_main(run_dir: Path, *, metric: str, request: str | None, phase: str) -> Bounds | str:
    """The quantile of this metric, request and phase in the run's `main.json`; or a sentence on why there is none."""
    try:
        main = load_baseline(run_dir / MAIN)
    except UsageError as exc:
        missing = not (run_dir / MAIN).exists()
        return "a limit of `x main` needs --baseline FILE" if missing else exc.message
    for quantile in main.quantiles:
        if (quantile.metric, quantile.request, quantile.phase) == (metric, request, phase):
            return Bounds(quantile.n, quantile.observed_ms, quantile.low_ms, quantile.high_ms)
    return f"the file of --baseline has no {metric} of the phase {phase}"
