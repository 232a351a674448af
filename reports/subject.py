"""What a report is about: one finished run, read from its directory, with as much of it as is left.

A run that broke early has no rows, no t = 0, perhaps no plan; it still gets its report, so everything
but the results may be missing here. Judges nothing: a directory without results.json is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from pydantic import ValidationError

from harness.errors import TailgateError, UsageError
from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.results import MatrixResults, Results

if TYPE_CHECKING:
    from harness.evidence import Evidence

_POOLED: Final = re.compile(r"run-(\d+)")
_Document = TypeVar("_Document", Results, MatrixResults)
_Record = TypeVar("_Record", Plan, Manifest)


@dataclass(frozen=True, slots=True)
class Subject:
    run_dir: Path
    """Where results.json stands."""
    results: Results
    plan: Plan | None
    manifest: Manifest | None
    evidence: Evidence | None
    """None where the rows could not be read; `trouble` then says why."""
    trouble: str = ""
    pooled: tuple[str, ...] = ()
    """Names of the runs that were judged together; their rows are shown of the first."""

    @classmethod
    def load(cls, run_dir: Path, evidence: Evidence | None = None) -> Self:
        """`evidence`: that of the run, or of a pool's first one, where the judge has read it already.

        Raises UsageError where results.json is missing or of another kind; survives everything else.
        """
        results = read_results(run_dir)
        pooled = _pooled(run_dir)
        rows_dir = run_dir / pooled[0] if pooled else run_dir
        trouble = ""
        if evidence is None:
            evidence, trouble = _read_evidence(rows_dir)
        plan = evidence.plan if evidence else _optional(Plan, rows_dir)
        manifest = evidence.manifest if evidence else _optional(Manifest, rows_dir)
        return cls(run_dir, results, plan, manifest, evidence, trouble, pooled)

    @property
    def rows_dir(self) -> Path:
        """Where rows, logs and readings stand: the run itself, or the first of a pool."""
        return self.run_dir / self.pooled[0] if self.pooled else self.run_dir

    @property
    def is_part(self) -> bool:
        """A cell of a matrix, or a run of a pool: the whole speaks for it."""
        in_matrix = self.plan is not None and self.plan.cell is not None
        return in_matrix or _POOLED.fullmatch(self.run_dir.resolve().name) is not None

    @property
    def gateway_ms(self) -> float | None:
        return self.results.run.gateway.timeout_ms

    def planned_fault(self, name: str) -> PlannedFault | None:
        faults = self.plan.faults if self.plan else ()
        return next((fault for fault in faults if fault.name == name), None)


def read_results(run_dir: Path) -> Results:
    return _document(Results, run_dir, "tailgate judge")


def read_matrix(matrix_dir: Path) -> MatrixResults:
    return _document(MatrixResults, matrix_dir, "tailgate run SCENARIO")


def _document(shape: type[_Document], directory: Path, command: str) -> _Document:
    path = directory / "results.json"
    try:
        return shape.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} is missing: there is nothing to report", f"write it with: {command} …") from None
    except (ValidationError, OSError) as exc:
        raise UsageError(
            f"{path} cannot be read as results: {_first_line(exc)}", f"write it anew: {command} …"
        ) from exc


def _pooled(run_dir: Path) -> tuple[str, ...]:
    """`run-1`, `run-2` … below a directory that holds no run itself; nothing for a single run."""
    if (run_dir / "plan.json").exists():
        return ()
    found = [(int(match[1]), path.name) for path in run_dir.iterdir() if (match := _POOLED.fullmatch(path.name))]
    return tuple(name for _, name in sorted(found))


def _read_evidence(run_dir: Path) -> tuple[Evidence | None, str]:
    from harness.evidence import Evidence

    try:
        return Evidence.load(run_dir), ""
    except (TailgateError, OSError, ValueError) as exc:  # pydantic's ValidationError is a ValueError
        return None, _first_line(exc)


def _optional(shape: type[_Record], run_dir: Path) -> _Record | None:
    try:
        return shape.read(run_dir)
    except (OSError, ValueError):
        return None


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
